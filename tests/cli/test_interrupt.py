"""Ctrl-C at any moment."""

from __future__ import annotations

import io
import signal
from typing import Any

import pytest

from hero_cli.interrupt import asked_to_stop


class Interrupted(io.RawIOBase):
    """A terminal during whose first write Ctrl-C is pressed."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        if not self.shown:
            self.shown.append(b"")
            signal.raise_signal(signal.SIGINT)
        self.shown.append(bytes(text))
        return len(text)


def test_a_ctrl_c_in_the_midst_of_a_write_is_reported_after_it() -> None:
    terminal = Interrupted()
    stream = io.BufferedWriter(terminal)

    def write(text: bytes) -> None:
        stream.write(text)
        stream.flush()

    with asked_to_stop(lambda: write(b"stopping")) as asked:
        write(b"step 1")
        assert asked()
    assert b"".join(terminal.shown) == b"step 1stopping"


def test_the_second_ctrl_c_stops() -> None:
    notices: list[str] = []
    with asked_to_stop(lambda: notices.append("stopping")):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert notices == ["stopping"]
