"""A time limit for code that is not ours: an environment's step that never returns must not hang a run."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raises TimeoutError in the block when it has run for so long.

    The limit holds in the main thread of a process on POSIX systems, where a signal can interrupt Python code; in other
    threads and on Windows, and inside C code that does not return to Python, nothing can, and the block runs on. Limits
    do not nest: within a block that has one, another is not kept.

    Args:
        seconds: `math.inf` for no limit.
        what: subject of the message, such as `the step`.
    """
    can_interrupt = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not can_interrupt or seconds == math.inf or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    late = TimeoutError(f"{what} took longer than {seconds:g} s")
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise late

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    if interrupted:  # and the block caught the error
        raise late
