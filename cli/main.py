"""Start the command `hero`; this module loads nothing, so that Ctrl-C works from the first moment."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended: 128 + SIGINT."""


def main() -> None:
    """Runs the command."""
    signal.signal(signal.SIGINT, _leave)  # before a command begins, and after it ends
    sys.path.append("")  # module:Class may be in the working directory, and hides nothing that is installed
    _silence_others()
    from .app import app
    from .output import expendable_output

    with _ended_at_once() if "WORLD_SIZE" in os.environ else nullcontext(), expendable_output():
        app()


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """Ends the process after the block, or where it exits, without tearing the interpreter down; but for exceptions.

    Processes that share a run are connected by threads of torch, which its caches of split tensors keep alive until the
    interpreter ends them in the middle of C++ code: now and then a run aborted so, with all its work done.
    """
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


def _silence_others() -> None:
    """Hides warnings of other libraries unless Python was asked for them, and progress bars outside a terminal."""
    import logging
    import warnings

    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if logging.lastResort:  # which prints whatever no handler takes
        logging.lastResort.addFilter(logging.Filter("hero"))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _leave(number: int, frame: object) -> None:
    """Ends the process at once, while there is nothing to clean up."""
    os._exit(INTERRUPTED)


def __getattr__(name: str) -> object:
    if name == "app":
        from .app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
