"""Handle Ctrl-C: stop at once while a run is built; later the first asks the run to stop, and the second stops it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Lets a function handle Ctrl-C in the block; does nothing outside the main thread, which alone gets signals."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
