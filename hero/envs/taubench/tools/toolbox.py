"""Declares tools: a function each, with its effect on the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hero.envs.taubench.database import Database, Record

_Run = TypeVar("_Run", bound=Callable[..., str])


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that an agent can call.

    Attributes:
        run: takes the database and the arguments by name, and returns the answer to the agent. The text of an exception
            is answered as an error.
        reads: whether it only reports something.
        writes: whether it changes the database.
    """

    run: Callable[..., str]
    reads: bool = False
    writes: bool = False


class Toolbox(dict[str, Tool]):
    """Tools by name; a decorator adds each of them and states its effect."""

    def reads(self, run: _Run) -> _Run:
        """Adds a tool that only reports something."""
        self[run.__name__] = Tool(run, reads=True)
        return run

    def writes(self, run: _Run) -> _Run:
        """Adds a tool that changes the database."""
        self[run.__name__] = Tool(run, writes=True)
        return run

    def neither(self, run: _Run) -> _Run:
        """Adds a tool that neither reports nor changes anything."""
        self[run.__name__] = Tool(run)
        return run


class RefusedError(Exception):
    """The reason why a tool refuses a call, in the original's words."""


def require_record(db: Database, table: str, key: str, refusal: str) -> Record:
    """Returns a record, to be read.

    Raises:
        RefusedError: no record has that key.
    """
    record = db.get(table, key)
    if record is None:
        raise RefusedError(refusal)
    return record


def payment_method(db: Database, record: Record, method_id: str) -> Record:
    """Returns a payment method of the user of an order or a reservation, to be read.

    Raises:
        KeyError: there is no such user.
        RefusedError: the user has no such method.
    """
    user = db.get("users", record["user_id"])
    if user is None:
        raise KeyError(record["user_id"])
    methods: dict[str, Record] = user["payment_methods"]
    if method_id not in methods:
        raise RefusedError("payment method not found")
    return methods[method_id]
