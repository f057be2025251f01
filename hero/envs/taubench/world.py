"""A world: the tables, tools, policy and tasks of one domain, built once per process and shared by all episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hero.envs.shared import Shared
from hero.envs.taubench import answers
from hero.envs.taubench.action import Call
from hero.envs.taubench.database import Changes, Database, Snapshot, merge
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.domains import TOOLS
from hero.envs.taubench.tools.shared import TRANSFER
from hero.envs.taubench.tools.toolbox import Tool
from hero.errors import DataError

Domain = Literal["retail", "airline"]
Split = Literal["train", "dev", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class Gold:
    """The database as a task leaves it where it is done right.

    Attributes:
        changes: the records that differ from the beginning.
        hash: the original's hash of the whole database.
    """

    changes: Changes
    hash: str


@dataclass(frozen=True)
class World(Shared):
    """One domain.

    Attributes:
        schemas: schemas of the tools, in the form of the function calling of chat endpoints.
        policy: the rules that the agent has to keep, in words.
        tasks: tasks by split; a split may be empty.
        fingerprint: hash of the files that the world was read from, or of what was generated.
    """

    domain: Domain
    version: str
    snapshot: Snapshot
    schemas: Sequence[Mapping[str, Any]]
    policy: str
    tasks: Mapping[Split, tuple[ServiceTask, ...]]
    fingerprint: str = ""
    _gold: dict[str, Gold] = field(default_factory=dict, repr=False)

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools of the domain, by name."""
        return TOOLS[self.domain]

    def call(self, db: Database, call: Call) -> str:
        """Calls a tool and returns its answer; errors are answers, too."""
        tool = self.tools.get(call.name)
        if tool is None:
            return answers.unknown_tool(call.name)
        try:
            return tool.run(db, **call.arguments)
        except Exception as error:  # wrong arguments are the caller's fault, and the original reports them so
            return answers.error(error)

    def start(self, task: ServiceTask) -> Database:
        """Returns the database with which an episode of a task begins.

        Raises:
            DataError: a call that sets up the task fails.
        """
        db = Database(self.snapshot)
        for table, records in task.data.items():
            for key, change in records.items():
                if db.get(table, key) is None:
                    db.add(table, key, {})
                merge(db.edit(table, key), change)
        for call in task.setup:
            if answers.is_error(answer := self.call(db, call)):
                raise DataError(f"task {task.id} cannot be set up: {call.name} answers {answer}")
        return db

    def gold(self, task: ServiceTask) -> Gold:
        """Returns the database after the right calls of a task; computed once per task."""
        if task.id not in self._gold:
            db = self.start(task)
            for call in task.actions:
                if call.name != TRANSFER:
                    self.call(db, call)
            changes = db.changes()
            self._gold[task.id] = Gold(changes, self.snapshot.hash_with(changes))
        return self._gold[task.id]
