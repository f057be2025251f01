"""All tools of each domain, by name, and their effects on the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hero.envs.taubench.tools import shared
from hero.envs.taubench.tools.airline import flights, reservations
from hero.envs.taubench.tools.retail import items, lookups, orders
from hero.envs.taubench.tools.toolbox import Tool

TOOLS: Final[Mapping[str, Mapping[str, Tool]]] = {
    "retail": shared.TOOLS | lookups.TOOLS | orders.TOOLS | items.TOOLS,
    "airline": shared.TOOLS | flights.TOOLS | reservations.TOOLS,
}
_ALL: Final[Mapping[str, Tool]] = {name: tool for tools in TOOLS.values() for name, tool in tools.items()}


def reads(name: str) -> bool:
    """Returns whether a tool of that name, in whichever domain, only reports something."""
    return name in _ALL and _ALL[name].reads


def writes(name: str) -> bool:
    """Returns whether a tool of that name, in whichever domain, changes the database."""
    return name in _ALL and _ALL[name].writes
