"""The tools that both domains have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hero.envs.taubench import calculate as arithmetic
from hero.envs.taubench.database import Database

Tool = Callable[..., str]
"""(database, arguments by name) to what the agent reads; what it raises is an error observation."""

TRANSFER: Final = "transfer_to_human_agents"
"""The tool that ends an episode."""


def calculate(db: Database, /, expression: str) -> str:
    """The value of an expression of numbers, + - * / and parentheses."""
    return arithmetic.calculate(expression)


def think(db: Database, /, thought: str) -> str:
    """Nothing: a place to write thoughts down."""
    return ""


def transfer_to_human_agents(db: Database, /, summary: str) -> str:
    """Hands the user over to a person."""
    return "Transfer successful"


SHARED: Final[Mapping[str, Tool]] = {tool.__name__: tool for tool in (calculate, think, transfer_to_human_agents)}
