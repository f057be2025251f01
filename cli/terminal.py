"""What all commands share in the terminal: two consoles, and errors without a traceback."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import typer

from hero.errors import HeroError

from .interrupt import interruptible
from .main import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")


def console(*, errors: bool = False) -> Console:
    """The terminal as rich writes to it; on a pipe plain text whose lines are never wrapped."""
    from .safe_console import SafeConsole

    made = SafeConsole(stderr=errors, highlight=False, emoji=False)
    if made.is_terminal:
        return made
    return SafeConsole(stderr=errors, highlight=False, emoji=False, width=160, soft_wrap=True)


def polite(command: Callable[P, None]) -> Callable[P, None]:
    """The command, its HeroErrors and those of the system told in red with exit code 2, Ctrl-C without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with interruptible():
                command(*args, **kwargs)
        except HeroError as error:
            _refuse(str(error))
        except OSError as error:
            _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except KeyboardInterrupt:
            console(errors=True).print("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def _refuse(message: str) -> NoReturn:
    from rich.text import Text

    console(errors=True).print(Text.assemble(("error: ", "bold red"), (message, "red")))
    raise typer.Exit(2) from None


@contextmanager
def log_shown(show: Callable[[str], None]) -> Iterator[None]:
    """Within the block, warnings in the log `hero` go to `show`; to standard error where that fails."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                show(record.getMessage())
            except Exception:
                print(f"warning: {record.getMessage()}", file=sys.stderr)  # noqa: T201

    log, handler = logging.getLogger("hero"), Shown(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def optional(what: str) -> Iterator[None]:
    """Runs what may fail: that is a warning in the log `hero`, and no more."""
    try:
        yield
    except Exception as error:
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        logging.getLogger("hero").warning("%s: %s", what, why)


def with_default(help: str, default: str) -> str:
    """The help of an option whose default is not a value but depends on others."""
    return f"{help} [dim]\\[default: {default}][/dim]"


def estimate(record: Mapping[str, Any], *, percent: bool = False, signed: bool = False) -> str:
    """A number with its 95 % interval, such as `26.0 % [20.4, 32.5]`."""
    scale, sign = (100 if percent else 1), ("+" if signed else "")
    text = f"{scale * record['value']:{sign}.1f}" + (" %" if percent else "")
    if record["low"] is None:
        return text
    return f"{text} [{scale * record['low']:{sign}.1f}, {scale * record['high']:{sign}.1f}]"
