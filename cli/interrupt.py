"""Handle Ctrl-C: stop at once while a run is built; later the first asks the run to stop, and the second stops it.

What stops a process from outside can be made to leave nothing behind.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread, current_thread, main_thread
from types import FrameType


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C raise KeyboardInterrupt in the block."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def unmissable() -> Iterator[None]:
    """Lets Ctrl-C end the block with KeyboardInterrupt, even if a library swallows it or raises something else."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    try:
        with _handled_by(handle):
            yield
    except Exception:
        if asked:
            raise KeyboardInterrupt from None
        raise
    if asked:
        raise KeyboardInterrupt


@contextmanager
def asked_to_stop(announce: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Lets the first Ctrl-C in the block only call `announce`, and the second raise KeyboardInterrupt.

    Yields:
        A function that returns whether there has been a Ctrl-C.
    """
    asked = False
    # In another thread, since the signal may interrupt a write, which the same thread cannot enter again.
    announcement = Thread(target=announce, daemon=True)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        announcement.start()

    try:
        with _handled_by(handle):
            yield lambda: asked
    finally:
        if asked:
            announcement.join()


@contextmanager
def cleaning_up() -> Iterator[None]:
    """Lets the end of the session and SIGTERM end the block with SystemExit, unless they are ignored, as by nohup.

    A further one does not interrupt what the block does at its end.
    """
    ended = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal ended
        if not ended:
            ended = True
            raise SystemExit(128 + number)

    with ExitStack() as stack:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) is not signal.SIG_IGN:
                stack.enter_context(_handled_by(handle, number))
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object], number: int = signal.SIGINT) -> Iterator[None]:
    """Lets a function handle a signal in the block; does nothing outside the main thread, which alone gets signals."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
