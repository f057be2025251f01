"""Ctrl-C: heard while a run is built, and then polite: the first asks to stop, the second stops."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from types import FrameType


@contextmanager
def interruptible() -> Iterator[None]:
    """Has Ctrl-C raise KeyboardInterrupt in the block."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def unmissable() -> Iterator[None]:
    """Has Ctrl-C raise KeyboardInterrupt in the block, even where a library swallows it or raises something else."""
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    try:
        with _handled_by(note):
            yield
    except Exception:
        if asked:
            raise KeyboardInterrupt from None
        raise
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

    try:
        with _handled_by(note):
            yield lambda: asked
    finally:
        if asked:
            telling.join()


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Has a function called on Ctrl-C in the block; nothing in a thread, which hears of none."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
