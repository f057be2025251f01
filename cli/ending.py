"""End processes that share a run: at once, with everything done that the end of Python does for the user."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ended_at_once(*, shared: bool) -> Iterator[None]:
    """Ends a process after the block, or where it exits, without tearing the interpreter down; but for exceptions.

    Processes that share a run are connected by threads of torch, which its caches of split tensors keep alive until the
    interpreter ends them in the middle of C++ code: now and then a run aborted so, with all its work done.

    Args:
        shared: whether there are other processes; without them nothing is done.
    """
    if not shared:
        yield
        return
    code: object = 0
    try:
        yield
    except SystemExit as ending:
        code = ending.code or 0
    if not isinstance(code, int):  # which Python prints
        print(code, file=sys.stderr)  # noqa: T201
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of the interpreter does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(code if isinstance(code, int) else 1)
