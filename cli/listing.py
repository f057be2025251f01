"""`hero list`: every component that is installed."""

from __future__ import annotations

from hero import registry

from .terminal import console, report_errors

KINDS = {
    "environment": "hero.envs",
    "model": "hero.models",
    "learner": "hero.learners",
    "reflector": "hero.reflectors",
    "teacher": "hero.teachers",
    "rules": "hero.rules",
    "data": "hero.data",
}


@report_errors
def list_components() -> None:
    """List all components that are installed, each with its package and the place of its code.

    Any other one can be named by its place, module:Class, without being registered.
    """
    from rich.table import Table

    table = Table("kind", "name", "package", "place", box=None, pad_edge=False)
    for kind, group in KINDS.items():
        for entry in registry.entries(group):
            table.add_row(kind, entry.name, registry.package_of(entry), entry.value)
    console().print(table)
