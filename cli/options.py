"""The options of `hero run`, made of the settings of a run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from .arguments import read_arguments
from .settings import FIELDS, option, types
from .terminal import with_default


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option per setting.

    Args:
        command: called with the values that the user gave, by setting, as its first argument; its other parameters are
            options of the usual kind.
    """
    _, *others = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        given = {name: options.pop(name) for name in FIELDS}
        command({name: _read(name, value) for name, value in given.items() if value is not None}, **options)

    parameters = [*map(_parameter, FIELDS), *(each.replace(kind=each.KEYWORD_ONLY) for each in others)]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped


def _parameter(name: str) -> inspect.Parameter:
    declared = FIELDS[name].metadata
    default = declared["shown"] or str(FIELDS[name].default)
    choice = typer.Option(
        option(name),
        help=with_default(declared["help"], default),
        show_default=False,
        rich_help_panel=declared["panel"],
        min=declared.get("min"),
    )
    kind: Any = list[str] if "example" in declared else types()[name]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, choice]
    )


def _read(name: str, given: Any) -> Any:
    return read_arguments(name, given) if "example" in FIELDS[name].metadata else given
