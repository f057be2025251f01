"""Consoles, errors without a traceback, and the form of numbers, shared by all commands."""

from __future__ import annotations

import functools
import inspect
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import typer

from hero.errors import HeroError

from .interrupt import interruptible
from .main import INTERRUPTED
from .out_of_memory import is_out_of_memory, without_advice

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from hero.intervals import Estimate

P = ParamSpec("P")


def console(*, errors: bool = False, silent: bool = False) -> Console:
    """Returns a console on standard output or standard error; on a pipe it prints plain text and wraps no lines.

    Args:
        silent: whether it prints nothing.
    """
    from .safe_console import SafeConsole

    if silent:
        return SafeConsole(quiet=True, force_interactive=False)
    for_terminal = SafeConsole(stderr=errors, highlight=False, emoji=False)
    if for_terminal.is_terminal:
        return for_terminal
    return SafeConsole(stderr=errors, highlight=False, emoji=False, width=160, soft_wrap=True)


@contextmanager
def loading(what: str) -> Iterator[Callable[[], float]]:
    """Shows on standard error that something is loaded, so that no screen stays blank while heavy code is imported.

    In a terminal the line goes away at the end of the block.

    Yields:
        A function that makes it go away before that, and returns the seconds since the block began.
    """
    began = time.perf_counter()
    from rich.control import Control
    from rich.segment import ControlType

    is_first = os.environ.get("RANK", "0") == "0"
    screen, text = console(errors=True, silent=not is_first), f"loading {what} ..."
    with ExitStack() as stack:
        if screen.is_interactive:
            # Not a status of rich, which takes the progress bars of a download off the screen.
            screen.print(text, style="dim", markup=False, end="")
            erase = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
            stack.callback(screen.control, erase)
        else:
            screen.print(text, markup=False)

        def loaded() -> float:
            stack.close()
            return time.perf_counter() - began

        yield loaded


def report_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Makes a command print errors of hero and of the system in red, and end with exit code 2, without a traceback.

    A lack of memory is such an error.

    After Ctrl-C it ends with exit code 130. The lines of each paragraph of its help are joined, to fit any width.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with interruptible():
                command(*args, **kwargs)
        except HeroError as error:
            _exit_with(str(error))
        except OSError as error:
            _exit_with(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            _exit_with(f"no memory left: {without_advice(error)}; take a smaller model, or a device that has more")
        except KeyboardInterrupt:
            console(errors=True).print("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    wrapped.__doc__ = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    return wrapped


def _exit_with(message: str) -> NoReturn:
    from rich.text import Text

    rank = os.environ.get("RANK", "0")
    where = f" in process {rank}" if "WORLD_SIZE" in os.environ and rank != "0" else ""
    console(errors=True).print(Text.assemble((f"error{where}: ", "bold red"), (message, "red")))
    raise typer.Exit(2) from None


@contextmanager
def show_log(show: Callable[[str], None]) -> Iterator[None]:
    """Passes warnings in the log `hero` to `show` during the block, and to standard error if that fails."""

    class ShowHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                show(record.getMessage())
            except Exception:
                print(f"warning: {record.getMessage()}", file=sys.stderr)  # noqa: T201

    log, handler = logging.getLogger("hero"), ShowHandler(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def warn(out: Console, text: str) -> None:
    """Prints a warning in yellow."""
    out.print(f"warning: {text}", style="yellow", markup=False)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Shows bars on standard error until the end of the block, and above them warnings in the log `hero`."""
    from rich.progress import Progress

    screen = console(errors=True)
    with Progress(console=screen, transient=True) as bars, show_log(functools.partial(warn, screen)):
        yield bars


@contextmanager
def warn_on_error(what: str) -> Iterator[None]:
    """Turns an error of the block into a warning in the log `hero`."""
    try:
        yield
    except Exception as error:
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        logging.getLogger("hero").warning("%s: %s", what, why)


def with_default(help: str, default: str) -> str:
    """Returns the help of an option whose default depends on others, with that default in words."""
    help, default = (text.replace("[", r"\[") for text in (help, default))  # no markup, as in hero-agents[lora]
    return rf"{help} [dim]\[default: {default}][/dim]"


def with_interval(number: Estimate, form: str) -> str:
    """Returns a number with its interval, if it has one, in a form such as `.3g`: `0.833 [0.7, 0.967]`."""
    interval = "" if math.isnan(number.low) else f" [{number.low:{form}}, {number.high:{form}}]"
    return f"{number.value:{form}}{interval}"


def estimate(record: Mapping[str, Any], *, percent: bool = False, signed: bool = False) -> str:
    """Returns a number with its 95 % interval as text, such as `26.0 % [20.4, 32.5]`.

    Args:
        record: the record of a `hero.intervals.Estimate`.
    """
    scale, sign = (100 if percent else 1), ("+" if signed else "")
    text = f"{scale * record['value']:{sign}.1f}" + (" %" if percent else "")
    if record["low"] is None:
        return text
    return f"{text} [{scale * record['low']:{sign}.1f}, {scale * record['high']:{sign}.1f}]"
