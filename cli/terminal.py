"""What all commands share in the terminal: two consoles, and errors without a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import typer

from hero.errors import HeroError

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
INTERRUPTED: Final = 130
"""What shells expect of a program that Ctrl-C ended: 128 and the number of the signal."""


def console(*, errors: bool = False) -> Console:
    """The terminal as rich writes to it; on a pipe plain text whose lines are never wrapped."""
    from rich.console import Console

    made = Console(stderr=errors, highlight=False)
    return made if made.is_terminal else Console(stderr=errors, highlight=False, width=160, soft_wrap=True)


def polite(command: Callable[P, None]) -> Callable[P, None]:
    """The command, its HeroErrors told in red with exit code 2, Ctrl-C without a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        from rich.text import Text

        try:
            command(*args, **kwargs)
        except HeroError as error:
            console(errors=True).print(Text.assemble(("error: ", "bold red"), (str(error), "red")))
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            console(errors=True).print("interrupted")
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


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
