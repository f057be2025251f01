"""A world: the tables, tools, policy and tasks of one domain, built once per process and shared by all episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hero.envs.taubench.database import Changes, Database, Snapshot, Tables, merge
from hero.envs.taubench.task import Call, Task
from hero.envs.taubench.tools import airline, retail
from hero.envs.taubench.tools.shared import TRANSFER, Tool
from hero.errors import DataError

Domain = Literal["retail", "airline"]
Split = Literal["train", "dev", "test"]
SPLITS: Final = ("train", "dev", "test")

TOOLS: Final[Mapping[str, Mapping[str, Tool]]] = {"retail": retail.TOOLS, "airline": airline.TOOLS}
COLUMNS: Final[Mapping[str, Mapping[str, Mapping[str, type | tuple[type, ...]]]]] = {
    "retail": {
        "orders": {
            "order_id": str,
            "user_id": str,
            "address": dict,
            "items": list,
            "status": str,
            "payment_history": list,
        },
        "products": {"name": str, "product_id": str, "variants": dict},
        "users": {"name": dict, "address": dict, "email": str, "payment_methods": dict, "orders": list},
    },
    "airline": {
        "flights": {
            "flight_number": str,
            "origin": str,
            "destination": str,
            "scheduled_departure_time_est": str,
            "scheduled_arrival_time_est": str,
            "dates": dict,
        },
        "reservations": {
            "reservation_id": str,
            "user_id": str,
            "cabin": str,
            "flights": list,
            "passengers": list,
            "payment_history": list,
            "nonfree_baggages": int,
        },
        "users": {"name": dict, "payment_methods": dict, "reservations": list},
    },
}
"""By domain and table, the keys that the tools read, and their types."""


@dataclass(frozen=True, slots=True)
class Gold:
    """How a task leaves the database where it is done right: what an episode is compared with.

    Attributes:
        changes: the records that are then not as at the beginning.
        hash: the original's, of the whole database.
    """

    changes: Changes
    hash: str


@dataclass(frozen=True)
class World:
    """One domain.

    Attributes:
        schemas: of the tools, as the function calling of chat endpoints has them.
        policy: the rules that the agent keeps, in words.
        tasks: by split; a split may be empty.
        fingerprint: of the files that it was read from, or of what was generated.
    """

    domain: Domain
    version: str
    snapshot: Snapshot
    schemas: Sequence[Mapping[str, Any]]
    policy: str
    tasks: Mapping[Split, tuple[Task, ...]]
    fingerprint: str = ""
    _gold: dict[str, Gold] = field(default_factory=dict, repr=False)

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools of the domain, by name."""
        return TOOLS[self.domain]

    def call(self, db: Database, call: Call) -> str:
        """What a tool answers; errors are answers too."""
        tool = self.tools.get(call.name)
        if tool is None:
            return f"Unknown action {call.name}"
        try:
            return tool(db, **call.arguments)
        except Exception as error:  # wrong arguments are the caller's fault, and the original tells them so
            return f"Error: {error}"

    def start(self, task: Task) -> Database:
        """The database as an episode of a task finds it.

        Raises:
            DataError: a call that sets it up fails.
        """
        db = Database(self.snapshot)
        for table, records in task.data.items():
            for key, change in records.items():
                if db.get(table, key) is None:
                    db.add(table, key, {})
                merge(db.edit(table, key), change)
        for call in task.setup:
            if (answer := self.call(db, call)).startswith("Error:"):
                raise DataError(f"task {task.id} cannot be set up: {call.name} answers {answer}")
        return db

    def gold(self, task: Task) -> Gold:
        """What the right calls of a task lead to; computed once."""
        if task.id not in self._gold:
            db = self.start(task)
            for call in task.actions:
                if call.name != TRANSFER:
                    self.call(db, call)
            changes = db.changes()
            self._gold[task.id] = Gold(changes, self.snapshot.hash_with(changes))
        return self._gold[task.id]


def checked(domain: str, tables: Tables, where: Mapping[str, str]) -> Snapshot:
    """Tables that were read, once they are known to have what the tools read.

    Args:
        where: the file of each table, for messages.

    Raises:
        DataError: a table has no two records, or a record lacks a key, has a value of another type, or one in which
            lists and dicts lie within one another without measure.
    """
    for name, columns in COLUMNS[domain].items():
        table: Any = tables[name]
        if not isinstance(table, dict) or len(table) < 2:
            raise DataError(f"{where[name]}: {name} must be a dict of at least two records")
        for key, record in table.items():
            if not isinstance(record, dict):
                raise DataError(f"{where[name]}: {name} {key!r} must be a dict, not a {type(record).__name__}")
            for column, kind in columns.items():
                if column not in record:
                    raise DataError(f"{where[name]}: {name} {key!r} has no {column}")
                if not isinstance(record[column], kind):
                    raise DataError(
                        f"{where[name]}: {column} of {name} {key!r} must not be a {type(record[column]).__name__}"
                    )
    try:
        return Snapshot(tables)
    except RecursionError as error:
        raise DataError(
            f"{', '.join(dict.fromkeys(where.values()))}: lists or dicts lie too deep in one another"
        ) from error
