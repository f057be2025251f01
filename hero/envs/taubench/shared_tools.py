"""The tools that both domains have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from hero.envs.taubench import calculate as arithmetic
from hero.envs.taubench.database import Database, Record

Tool = Callable[..., str]
"""(database, arguments by name) to what the agent reads; what it raises is an error observation."""

TRANSFER: Final = "transfer_to_human_agents"
"""The tool that ends an episode."""


def calculate(db: Database, /, expression: str) -> str:
    """The value of an expression of numbers, + - * / and parentheses."""
    return arithmetic.calculate(expression)


def get_user_details(db: Database, /, user_id: str) -> str:
    """The record of a user."""
    user = db.get("users", user_id)
    return "Error: user not found" if user is None else json.dumps(user)


def think(db: Database, /, thought: str) -> str:
    """Nothing: a place to write thoughts down."""
    return ""


def transfer_to_human_agents(db: Database, /, summary: str) -> str:
    """Hands the user over to a person."""
    return "Transfer successful"


SHARED: Final[Mapping[str, Tool]] = {
    tool.__name__: tool for tool in (calculate, get_user_details, think, transfer_to_human_agents)
}


def payment_methods(db: Database, record: Record) -> dict[str, Any]:
    """The payment methods of the user of an order or a reservation, to be read.

    Raises:
        KeyError: there is no such user.
    """
    user = db.get("users", record["user_id"])
    if user is None:
        raise KeyError(record["user_id"])
    methods: dict[str, Any] = user["payment_methods"]
    return methods
