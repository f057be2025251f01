"""`hero data NAME`: commands that get data ready, one per entry point of the group `hero.data`."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from hero import registry
from hero.errors import ConfigError

from .terminal import console, report_errors, warn


class DataCommands(TyperGroup):
    """Lists the installed commands, and imports one when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return registry.names("hero.data")

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in registry.names("hero.data"):
            return None
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        try:
            single.command(cmd_name)(report_errors(registry.load("hero.data", cmd_name)))
            return get_command(single)
        except Exception as error:  # of one package, which hides no other's command
            why = str(error) if isinstance(error, ConfigError) else f"hero.data {cmd_name!r} is not a command: {error}"
            warn(console(errors=True), why)
            return None


data = typer.Typer(cls=DataCommands, no_args_is_help=True)


@data.callback()
def get_ready() -> None:
    """Get data ready for use."""
