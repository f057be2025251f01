"""The options of commands that are made of the settings of a run, and back."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from .arguments import read_arguments
from .settings import FIELDS, option, types
from .terminal import with_default

UsageError: Any = typer.BadParameter.__base__
"""What a command line raises; of click, or in newer versions of typer of a copy of click without a public name."""


def with_settings(
    command: Callable[..., None],
    *,
    names: Collection[str] = FIELDS,
    defaults: Mapping[str, Any] | None = None,
    of_run: Collection[str] = (),
) -> Callable[..., None]:
    """Gives a command an option per setting.

    Args:
        command: called with the values that the user gave, by setting, as its first argument; its other parameters are
            options of the usual kind.
        names: the settings.
        defaults: values that the help shows; the command itself takes them for what the user does not give.
        of_run: settings that are those of a run, if the command is given one, before any default.
    """
    defaults = defaults or {}
    _, *others = inspect.signature(command, eval_str=True).parameters.values()

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:
        given = {name: options.pop(name) for name in names}
        read = {name: _read(name, value) for name, value in given.items() if value is not None}
        command(read, **options)

    parameters = [
        *(_parameter(name, defaults, name in of_run) for name in names),
        *(each.replace(kind=each.KEYWORD_ONLY) for each in others),
    ]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapped


def _parameter(name: str, defaults: Mapping[str, Any], of_run: bool) -> inspect.Parameter:
    declared = FIELDS[name].metadata
    default = str(defaults[name]) if name in defaults else declared["shown"] or str(FIELDS[name].default)
    if of_run:
        default = f"the run's, or {default}"
    kind: Any = list[str] if "example" in declared else types()[name]
    choices, help = _choices(kind), declared["help"]
    if any(f"{each}:" not in help for each in choices):
        help += f" One of: {', '.join(choices)}."
    # Typer would write choices and limits into a column that takes the room of the others; limits are checked later.
    choice = typer.Option(
        option(name),
        help=with_default(help, default),
        show_default=False,
        rich_help_panel=declared["panel"],
        metavar="NAME" if choices else "KEY=VALUE" if kind == list[str] else None,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, choice]
    )


def _choices(kind: Any) -> list[str]:
    """Returns the values that a type lists; empty for a type that lists none."""
    return [each for part in (kind, *get_args(kind)) if get_origin(part) is Literal for each in get_args(part)]


def _read(name: str, given: Any) -> Any:
    return read_arguments(name, given) if "example" in FIELDS[name].metadata else given


def as_options(settings: Mapping[str, Any]) -> list[str]:
    """Returns the options of `hero run` that give some settings, flags apart that are not set."""
    options: list[str] = []
    for name, value in settings.items():
        if isinstance(value, bool):
            options += [option(name)] * value
        elif isinstance(value, dict):
            options += [f"{option(name)}={key}={json.dumps(each)}" for key, each in value.items()]
        else:
            options.append(f"{option(name)}={value}")
    return options


def read_options(options: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that options of `hero run` give.

    Raises:
        ConfigError, UsageError: the options are not those of `hero run`.
    """
    settings: dict[str, Any] = {}

    def read(given: dict[str, Any]) -> None:
        settings.update(given)

    reader = typer.Typer(add_completion=False)
    reader.command()(with_settings(read))
    typer.main.get_command(reader).main(list(options), prog_name="hero run", standalone_mode=False)
    return settings
