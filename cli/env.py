"""`hero env`: write an environment of your own, check it, and see which ones are installed."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero import registry
from hero.errors import ConfigError, HeroError

from .arguments import read_arguments
from .build import closing, make_envs
from .resolve import settings_of
from .terminal import console, report_errors, with_default

if TYPE_CHECKING:
    from hero.envs.contract import Point

SPLITS = ("train", "validation", "test")

env = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@env.callback()
def environments() -> None:
    """Write an environment of your own, check it, and see which ones are installed."""


@env.command()
@report_errors
def new(
    name: Annotated[str, typer.Argument(help="Name of the environment, such as tic-tac-toe.")],
    out: Annotated[
        Path | None, typer.Option(help=with_default("Directory of the project.", "its name"), show_default=False)
    ] = None,
) -> None:
    """Write a project with a small environment that works, to change into yours.

    It has the environment, a player that plays it well, a test and an entry point, and installs with pip.
    """
    from .new_env import write_project

    written = write_project(name, out or Path(name))
    screen = console()
    screen.print(f"wrote {', '.join(map(str, written))}", markup=False, soft_wrap=True)
    screen.print(
        f"next   cd {shlex.quote(str(out or name))} && pip install -e . && hero env check {name}", markup=False
    )


@env.command()
@report_errors
def check(
    name: Annotated[str, typer.Argument(help="Name, gym:ID or module:Class of an environment.")],
    env_arg: Annotated[
        list[str] | None,
        typer.Option(help=with_default("Option of the environment, key=value.", "none"), show_default=False),
    ] = None,
    script: Annotated[
        str | None,
        typer.Option(
            help=with_default("module:function of a player: from the messages to a good action.", "none"),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check an environment against the contract, point by point, by playing it.

    Ends with exit code 1 if a point is broken.
    """
    from hero import envs
    from hero.envs.contract import contract

    play = None if script is None else load_function("--script", script)
    settings = settings_of({"env": name, "env_args": read_arguments("env_args", env_arg or [])})
    with closing(make_envs(settings.env, "train", 1, settings.env_args)):  # a mistake in the name is no broken point
        make = partial(envs.make, settings.env, **settings.env_args)
    points = contract(play)
    broken = sum(not _check_point(point, make) for point in points)
    screen = console()
    if broken:
        screen.print(f"\n{name} breaks {broken} of {len(points)} points of the contract", style="red", markup=False)
        raise typer.Exit(1)
    screen.print(f"\n{name} keeps the contract", style="green", markup=False)


def _check_point(point: Point, make: Any) -> bool:
    """Checks a point and prints the outcome; returns whether it holds."""
    screen = console()
    try:
        point.check(make)
    except HeroError:
        raise
    except Exception as error:  # an environment that fails where no check expects it
        what = str(error) if isinstance(error, AssertionError) else f"it raised {type(error).__name__}: {error}"
        screen.print(f"broken  {point.name}", style="red", markup=False)
        screen.print(f"        what   {what}", markup=False)
        screen.print(f"        why    {point.why}", style="dim", markup=False)
        return False
    screen.print(f"ok      {point.name}", markup=False)
    return True


@env.command("list")
@report_errors
def list_environments() -> None:
    """List the environments that are installed, each with its package and the tasks of its splits."""
    from rich.table import Table

    table = Table("environment", "package", *(f"{split} tasks" for split in SPLITS), box=None, pad_edge=False)
    for name in registry.names("hero.envs"):
        table.add_row(name, *_facts(name))
    console().print(table)


def _facts(name: str) -> list[str]:
    """Returns the package of an environment and the number of tasks of each split."""
    from hero import envs

    try:
        package = registry.package_of(registry.target("hero.envs", name))
        if needed := _needed(name):
            return [package, f"as {name}:{needed.upper()}", "", ""]
        counts = []
        for split in SPLITS:
            made = envs.make(name, split=split)
            counts.append(f"{made.num_tasks:,}")
            made.close()
        return [package, *counts]
    except Exception as error:  # of one package, which hides no other's environment
        return ["", str(error).partition("\n")[0], "", ""]


def _needed(name: str) -> str:
    """Returns the name of the first option without a default; "" for none."""
    declared = registry.parameters(registry.load("hero.envs", name)).values()
    return next(
        (each.name for each in declared if each.default is each.empty and each.kind is not each.VAR_KEYWORD), ""
    )


def load_function(option: str, place: str) -> Any:
    """Imports the function of an option.

    Raises:
        ConfigError: it is not `module:function`, cannot be imported or is not a function.
    """
    if not registry.is_path(place):
        raise ConfigError(f"{option} {place} is not module:function, such as my_game.script:play")
    function = registry.load(option, place)
    if not callable(function):
        raise ConfigError(f"{option} {place} is {function!r:.60}, not a function")
    return function
