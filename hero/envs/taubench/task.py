"""What an episode is about: plain data, and how it is read from a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as having
from typing import Any, Final

from hero.errors import DataError

DEEPEST: Final = 100
"""Lists and dicts that may lie within one another in the arguments of a call; tools need 3."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool.

    Attributes:
        arguments: JSON values by name.
    """

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call that an agent has to make, whatever comes of it.

    Attributes:
        compared: names of the arguments that have to be equal; None for all that the agent's call has, as in tau2.
    """

    call: Call
    compared: tuple[str, ...] | None = None

    def is_met_by(self, made: Call) -> bool:
        """Whether a call of the agent is this one."""
        names = made.arguments.keys() if self.compared is None else self.compared
        mine, other = (
            {name: call.arguments[name] for name in names if name in call.arguments} for call in (self.call, made)
        )
        return self.call.name == made.name and mine == other


@dataclass(frozen=True, slots=True)
class Task:
    """What a user wants, and what comes of it where it is done right.

    Attributes:
        id: names the task within its domain and version of the data.
        instruction: what the user knows and wants, addressed to the user. Never shown to a policy.
        actions: calls that lead to the right database; empty where nothing is to change. Privileged.
        outputs: texts that the agent has to say to the user; mostly empty. Privileged.
        user_id: key of the user's record; "" where the data do not name it.
        compares: whether the database has to be right.
        wanted: calls that the agent has to make; mostly none. Privileged.
        data: by table and key, what is otherwise in records when an episode begins; mostly empty.
        setup: calls that are made before an episode begins; mostly none.
        refusal: why the task cannot be played or graded; "" where it can.
    """

    id: str
    instruction: str
    actions: tuple[Call, ...]
    outputs: tuple[str, ...]
    user_id: str = ""
    compares: bool = True
    wanted: tuple[WantedCall, ...] = ()
    data: Mapping[str, Any] = having(default_factory=dict)
    setup: tuple[Call, ...] = ()
    refusal: str = ""


def read_call(record: Any, arguments: str, where: str) -> Call:
    """A call from a record with its name and, under the key `arguments`, its arguments.

    Raises:
        DataError: it is no such record; the message begins with `where`.
    """
    record = mapping(record, f"{where}: an action")
    call = Call(field(record, "name", str, where), field(record, arguments, dict, where))
    if too_deep(call.arguments, DEEPEST):
        raise DataError(f"{where}: more than {DEEPEST} lists or dicts lie within one another")
    return call


def mapping(record: Any, where: str) -> Mapping[str, Any]:
    """A record, once it is known to be a dict.

    Raises:
        DataError: it is something else; the message begins with `where`.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where} must be a dict, not a {type(record).__name__}")
    return record


def too_deep(value: Any, left: int) -> bool:
    """Whether more than so many lists and dicts lie within one another."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (left == 0 or any(too_deep(item, left - 1) for item in inner))


def field(record: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """A value of a record, once it is known to be of that type.

    Raises:
        DataError: the key is missing, or its value of another type; the message begins with `where`.
    """
    if key not in record:
        raise DataError(f"{where}: {key} is missing")
    if not isinstance(record[key], kind):
        raise DataError(f"{where}: {key} must be a {kind.__name__}, not a {type(record[key]).__name__}")
    return record[key]


def entries(record: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """A list of a record; empty where it is missing or null.

    Raises:
        DataError: there is something else; the message begins with `where`.
    """
    return [] if record.get(key) is None else list(field(record, key, list, where))


def texts(values: Iterable[Any], where: str) -> tuple[str, ...]:
    """Values as a tuple, once all are known to be texts.

    Raises:
        DataError: one is not; the message begins with `where`.
    """
    found = tuple(values)
    if wrong := [value for value in found if not isinstance(value, str)]:
        raise DataError(f"{where}: a text is needed, not {wrong[0]!r:.60}")
    return found
