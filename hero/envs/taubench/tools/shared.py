"""The tools that both domains have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from hero.envs.taubench.database import Database, Record
from hero.envs.taubench.tools import calculate as arithmetic

Tool = Callable[..., str]
"""(database, arguments by name) to what the agent reads; of what it raises, that is the text behind `Error: `."""

TRANSFER: Final = "transfer_to_human_agents"
"""The tool that ends an episode."""


class RefusedError(Exception):
    """Why a tool does not do what it is asked for, in the original's words."""


def calculate(db: Database, /, expression: str) -> str:
    """The value of an expression of numbers, + - * / and parentheses."""
    return arithmetic.calculate(expression)


def get_user_details(db: Database, /, user_id: str) -> str:
    """The record of a user."""
    return json.dumps(found(db, "users", user_id, "user not found"))


def think(db: Database, /, thought: str) -> str:
    """Nothing: a place to write thoughts down."""
    return ""


def transfer_to_human_agents(db: Database, /, summary: str) -> str:
    """Hands the user over to a person."""
    return "Transfer successful"


SHARED: Final[Mapping[str, Tool]] = {
    tool.__name__: tool for tool in (calculate, get_user_details, think, transfer_to_human_agents)
}


def found(db: Database, table: str, key: str, refusal: str) -> Record:
    """A record, to be read.

    Raises:
        RefusedError: there is none of that key.
    """
    record = db.get(table, key)
    if record is None:
        raise RefusedError(refusal)
    return record


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
