"""All commands of `hero`."""

from __future__ import annotations

from typing import Annotated

import typer

from hero import __version__
from hero.errors import ConfigError
from hero.processes import world_size

from .check import check
from .compare import compare
from .data import data
from .env import env
from .evaluation import evaluate_command
from .export import export
from .listing import list_components
from .play import play
from .reflect import reflect
from .run import run
from .score import score
from .show import show
from .terminal import report_errors
from .view import view
from .warm import warm

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("check")(check)
app.command("eval")(evaluate_command)
app.command("compare")(compare)
app.command("export")(export)
app.command("play")(play)
app.command("view")(view)
app.command("show")(show)
app.command("score")(score)
app.command("reflect")(reflect)
app.command("warm")(warm)
app.command("list")(list_components)
app.add_typer(env, name="env")
app.add_typer(data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
@report_errors
def hero(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Language agents that learn from hindsight."""
    if context.invoked_subcommand != "run" and world_size() > 1:
        raise ConfigError(
            f"hero {context.invoked_subcommand} does not share its work among processes; start it without torchrun"
        )
