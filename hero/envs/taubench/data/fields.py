"""Fields of records from outside, read with their types checked: messages name the file, the record and the field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hero.envs.taubench.action import Call
from hero.envs.taubench.data.reading import MAX_DEPTH, is_deeper
from hero.errors import DataError


def read_call(record: Any, arguments: str, where: str) -> Call:
    """Reads a call from a record with its name and, under the key `arguments`, its arguments.

    Raises:
        DataError: the record is malformed; the message begins with `where`.
    """
    record = mapping(record, f"{where}: an action")
    call = Call(field(record, "name", str, where), field(record, arguments, dict, where))
    require_shallow(call.arguments, where)
    return call


def mapping(record: Any, where: str) -> Mapping[str, Any]:
    """Returns a record that must be a dict.

    Raises:
        DataError: the record is not a dict; the message begins with `where`.
    """
    if not isinstance(record, dict):
        raise DataError(f"{where} must be a dict, not a {type(record).__name__}")
    return record


def field(record: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """Returns a value of a record that must be of that type.

    Raises:
        DataError: the key is missing, or its value has another type; the message begins with `where`.
    """
    if key not in record:
        raise DataError(f"{where}: {key} is missing")
    if not isinstance(record[key], kind):
        raise DataError(f"{where}: {key} must be a {kind.__name__}, not a {type(record[key]).__name__}")
    return record[key]


def entries(record: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Returns a list of a record; empty where it is missing or null.

    Raises:
        DataError: the value is not a list; the message begins with `where`.
    """
    return [] if record.get(key) is None else list(field(record, key, list, where))


def optional_dict(record: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Returns a dict of a record; empty where it is missing or null.

    Raises:
        DataError: the value is not a dict; the message begins with `where`.
    """
    inner: Mapping[str, Any] = {} if record.get(key) is None else field(record, key, dict, where)
    return inner


def strings(values: Iterable[Any], where: str) -> tuple[str, ...]:
    """Returns values, each of which must be a str, as a tuple.

    Raises:
        DataError: a value is not a str; the message begins with `where`.
    """
    values = tuple(values)
    if wrong := [value for value in values if not isinstance(value, str)]:
        raise DataError(f"{where}: a str is needed, not {wrong[0]!r:.60}")
    return values


def require_shallow(value: Any, where: str) -> None:
    """Refuses lists and dicts that are nested more than `MAX_DEPTH` levels deep.

    Raises:
        DataError: the nesting is deeper; the message begins with `where`.
    """
    if is_deeper(value, MAX_DEPTH):
        raise DataError(f"{where}: lists or dicts are nested more than {MAX_DEPTH} levels deep")
