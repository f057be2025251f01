"""The command `hero`: light, so that Ctrl-C is heard from the first moment."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended: 128 and the number of the signal."""


def main() -> None:
    """Entry point of the command."""
    signal.signal(signal.SIGINT, _leave)  # until a command has begun, and once it has ended
    _silence_others()
    from .app import app
    from .output import expendable_output

    with expendable_output():
        app()


def _silence_others() -> None:
    """Keeps warnings of other libraries, which a user can do nothing about, off the screen unless Python was asked.

    Their progress bars are for terminals, not for logs.
    """
    import logging
    import sys
    import warnings

    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if logging.lastResort:  # prints what no handler took
        logging.lastResort.addFilter(logging.Filter("hero"))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _leave(number: int, frame: object) -> None:
    """Ends the process where nothing is under way that wants to be put away."""
    os._exit(INTERRUPTED)


def __getattr__(name: str) -> object:
    if name == "app":
        from .app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
