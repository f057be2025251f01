"""Standard output that may fail: nothing raises, and the exit code says so at the end."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

BROKEN_PIPE: Final = 141
"""What shells expect of a program whose reader has left: 128 and the number of SIGPIPE."""


class Expendable(io.RawIOBase):
    """Passes bytes on to what is below a stream until that fails, and drops them from then on.

    Attributes:
        failure: why nothing is written any more; None while all is well.
    """

    def __init__(self, stream: io.TextIOWrapper, warn: bool) -> None:
        self.stream, self.warn = stream, warn  # which would close what is below it when it went
        buffer: Any = stream.buffer
        self.raw = getattr(buffer, "raw", buffer)
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self.raw.isatty())

    def fileno(self) -> int:
        return int(self.raw.fileno())

    def write(self, text: Any) -> int:
        if self.failure is None:
            try:
                return int(self.raw.write(text) or 0)
            except OSError as error:
                self.failure = error
                if self.warn and error.errno != errno.EPIPE:
                    print(f"error: cannot write standard output: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return len(text)


@contextmanager
def expendable_output() -> Iterator[None]:
    """Within the block writing to standard output and standard error never raises.

    Raises:
        SystemExit: at the end, with exit code 2 where standard output could not be written, or with that of a broken
            pipe; an exit code that the block leaves with goes before.
    """
    for name in ("stdin", "stdout", "stderr"):  # in this order: a file that is opened takes the first free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    out = _wrapped("stdout", warn=True)
    _wrapped("stderr", warn=False)
    try:
        yield
    except SystemExit as leaving:
        if leaving.code:
            raise
    finally:
        sys.stdout.flush()
    if out is not None and out.failure is not None:
        sys.exit(BROKEN_PIPE if out.failure.errno == errno.EPIPE else 2)


def _wrapped(name: str, *, warn: bool) -> Expendable | None:
    """Puts a standard stream on top of `Expendable`; None where something else stands in for it."""
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper):
        return None
    with suppress(OSError):
        stream.flush()
    wrapped = Expendable(stream, warn)
    # A terminal without our signs is no reason to fail.
    text = io.TextIOWrapper(
        io.BufferedWriter(wrapped), stream.encoding, "replace", line_buffering=stream.line_buffering or name == "stderr"
    )
    setattr(sys, name, text)
    return wrapped
