"""Tells from the right calls of a task which calls of an episode lead there. For measuring only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from hero.envs.taubench.action import Call, Malformed, parse_action, parse_call
from hero.envs.taubench.answers import is_error
from hero.envs.taubench.database import Changes, Database
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.domains import writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.envs.taubench.world import World


@dataclass(frozen=True, slots=True)
class Progress:
    """An episode before one of its turns.

    Attributes:
        db: the database as it is then; copy it before a change.
        left: right changes of the database that are still to be made.
        read: calls since the last change.
        outdated: calls before it that changed nothing.
    """

    db: Database
    left: tuple[Call, ...]
    read: tuple[Call, ...] = ()
    outdated: tuple[Call, ...] = ()


class Oracle:
    """Knows the right calls of a task."""

    def __init__(self, world: World, task: ServiceTask) -> None:
        self._world, self._task = world, task
        self._hands_over = any(call.name == TRANSFER for call in task.actions)
        self.progress = lru_cache(maxsize=4)(self._progress)
        """Returns the progress before each of some actions and after the last, from the start of an episode on."""

    def is_right(self, before: Progress, action: str) -> bool | None:
        """Returns whether an action is one that the task needs.

        A change of the database is right if it does to the database what a right call of the same tool does that is
        still to be made: the environment compares databases, so that other arguments to the same effect are as good.
        Whether the user has agreed to it does not count. A call that reads is right if it is answered, and was not
        before since the last change. To hand the user over is right if the task asks for it and no change is left.

        Returns:
            None for words to the user, for calls that neither read nor change anything, and for a call that was
            answered before the last change; False for whatever cannot be read as an action.
        """
        call = parse_action(action)
        if not isinstance(call, Call):
            return False if isinstance(call, Malformed) else None
        if call.name == TRANSFER:
            return self._hands_over and not before.left
        if writes(call.name):
            return self._met(before, call) is not None
        tool = self._world.tools.get(call.name)
        if tool is None or is_error(self._world.call(before.db, call)):
            return False
        return None if not tool.reads or call in before.outdated else call not in before.read

    def _progress(self, actions: tuple[str, ...]) -> tuple[Progress, ...]:
        db, changes = self._world.start(self._task), [call for call in self._task.actions if writes(call.name)]
        # Some tasks of the original list a call that its own tools refuse, and that nobody can make.
        right = tuple(call for call in changes if not is_error(self._world.call(db, call)))
        states = [Progress(self._world.start(self._task), right)]
        states += (self._after(states[-1], parse_call(action)) for action in actions)
        return tuple(states)

    def _after(self, before: Progress, call: Call | None) -> Progress:
        if call is None:
            return before
        if not writes(call.name):
            return replace(before, read=(*before.read, call))
        db, met = before.db.copy(), self._met(before, call)
        if is_error(self._world.call(db, call)):
            return replace(before, db=db)
        left = tuple(each for each in before.left if each is not met)
        return Progress(db, left, (), (*before.outdated, *before.read))

    def _met(self, before: Progress, call: Call) -> Call | None:
        """Returns the first right call that is still to be made and that a call equals in effect; None if none is."""
        effect = self._effect(before, call)
        same_tool = (each for each in before.left if each.name == call.name)
        return next((each for each in same_tool if effect is not None and self._effect(before, each) == effect), None)

    def _effect(self, before: Progress, call: Call) -> Changes | None:
        """Returns the changed records after a call; None where it is refused."""
        db = before.db.copy()
        return None if is_error(self._world.call(db, call)) else db.changes()
