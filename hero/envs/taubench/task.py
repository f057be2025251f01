"""The tasks of the service desk as plain data: the wishes of users, and the conditions of success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hero.envs.shared import Shared
from hero.envs.taubench.action import Call


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call that an agent has to make, whatever its result.

    Attributes:
        compared: names of the arguments that have to be equal; None for those of the agent's call, as in tau2.
    """

    call: Call
    compared: tuple[str, ...] | None = None

    def is_met_by(self, made: Call) -> bool:
        """Returns whether a call of the agent is this one."""
        names = made.arguments.keys() if self.compared is None else self.compared
        expected, actual = (
            {name: call.arguments[name] for name in names if name in call.arguments} for call in (self.call, made)
        )
        return self.call.name == made.name and expected == actual


@dataclass(frozen=True, slots=True)
class ServiceTask(Shared):
    """A user's wishes, and the outcome that an episode has to have.

    Attributes:
        id: name of the task within its domain and version of the data.
        instruction: the user's knowledge and wishes, addressed to the user. Never shown to a policy.
        actions: calls that lead to the right database; empty where nothing has to change. Privileged.
        outputs: texts that the agent has to say to the user; mostly empty. Privileged.
        user_id: key of the user's record; "" where the data do not name it.
        compares: whether the database has to be right.
        wanted: calls that the agent has to make; mostly none. Privileged.
        data: by table and key, changes of records before an episode begins; mostly empty.
        setup: calls that are made before an episode begins; mostly none.
        refusal: reason why the task cannot be played or graded; "" where it can.
    """

    id: str
    instruction: str
    actions: tuple[Call, ...]
    outputs: tuple[str, ...]
    user_id: str = ""
    compares: bool = True
    wanted: tuple[WantedCall, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    setup: tuple[Call, ...] = ()
    refusal: str = ""
