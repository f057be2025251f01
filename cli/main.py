"""Start the command `hero`; this module loads nothing, so that Ctrl-C works from the first moment."""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended: 128 + SIGINT."""


def main() -> None:
    """Runs the command."""
    signal.signal(signal.SIGINT, _leave)  # before a command begins, and after it ends
    sys.path.append("")  # module:Class may be in the working directory, and hides nothing that is installed
    _silence_others()
    from .app import app
    from .ending import ended_at_once
    from .output import expendable_output

    with ended_at_once(shared="WORLD_SIZE" in os.environ), expendable_output():
        app()


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
