"""Ctrl-C: heard while a run is built, and then polite: the first asks to stop, the second stops."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType


@contextmanager
def unmissable() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt, and at its end once more where a library swallowed it."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


@contextmanager
def asked_to_stop(tell: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Within the block the first Ctrl-C only calls `tell`, and the second raises KeyboardInterrupt.

    Yields:
        Whether there was a first one.
    """
    asked = False
    # A thread of its own, since the signal may come in the midst of a write, which the same thread cannot enter again.
    telling = Thread(target=tell, daemon=True)

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        telling.start()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
        if asked:
            telling.join()
