"""Survive a standard output that cannot be written: nothing raises, and the exit code reports it at the end."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

BROKEN_PIPE: Final = 141
"""Exit code of a program whose reader has left: 128 + SIGPIPE."""


class Expendable(io.RawIOBase):
    """Passes bytes on to the raw stream below another until that fails, and drops them from then on.

    Attributes:
        failure: error that ended the writing; None before.
    """

    def __init__(self, stream: io.TextIOWrapper, warn: bool) -> None:
        self.stream, self.warn = stream, warn  # kept, since a stream that is collected closes its raw stream
        buffer: Any = stream.buffer
        self.raw = getattr(buffer, "raw", buffer)
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return bool(self.raw.isatty())

    def fileno(self) -> int:
        return int(self.raw.fileno())

    def write(self, content: Any) -> int:
        if self.failure is None:
            try:
                return int(self.raw.write(content) or 0)
            except OSError as error:
                self.failure = error
                if self.warn and error.errno != errno.EPIPE:
                    print(f"error: cannot write standard output: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return len(content)


@contextmanager
def expendable_output() -> Iterator[None]:
    """Keeps writes to standard output and standard error from raising in the block.

    Raises:
        SystemExit: at the end, with exit code 2 if standard output could not be written, or with that of a broken pipe;
            an error code with which the block exits takes precedence.
    """
    for name in ("stdin", "stdout", "stderr"):  # in this order: an opened file gets the lowest free descriptor
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    out = _wrapped("stdout", warn=True)
    _wrapped("stderr", warn=False)
    try:
        yield
    except SystemExit as exit_:
        if exit_.code:
            raise
    finally:
        sys.stdout.flush()
    if out is not None and out.failure is not None:
        sys.exit(BROKEN_PIPE if out.failure.errno == errno.EPIPE else 2)


def _wrapped(name: str, *, warn: bool) -> Expendable | None:
    """Puts a standard stream on top of an `Expendable`, which it returns; None if the stream is of another kind."""
    stream = getattr(sys, name)
    if not isinstance(stream, io.TextIOWrapper):
        return None
    with suppress(OSError):
        stream.flush()
    wrapped = Expendable(stream, warn)
    # Characters that the encoding of the terminal lacks are replaced.
    text = io.TextIOWrapper(
        io.BufferedWriter(wrapped), stream.encoding, "replace", line_buffering=stream.line_buffering or name == "stderr"
    )
    setattr(sys, name, text)
    return wrapped
