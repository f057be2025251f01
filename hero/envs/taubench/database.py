"""Plain tables of records, shared by all episodes: an episode copies the records that it writes, and no others.

The hash is the original's: SHA-256 of the text of nested tuples, sorted by key. The text of the untouched tables is
kept once, with the state of the hash along the way, so that only what comes after the first change is hashed again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from hero.envs.taubench.task import DEEPEST

Record = dict[str, Any]
Tables = Mapping[str, Mapping[str, Record]]
Changes = Mapping[tuple[str, str], str]
"""By table and key, the text of each record that is not as it was."""

STRIDE: Final = 1 << 17
"""Bytes between two remembered states of the hash."""


def text(value: Any, left: int = DEEPEST + 20) -> str:
    """A JSON value as the original writes it before hashing: dicts as sorted pairs, lists as tuples.

    Args:
        left: how many lists and dicts may lie within one another: those of a call, within those of a record.

    Raises:
        RecursionError: they lie deeper.
    """
    if left < 0:
        raise RecursionError("lists or dicts lie too deep in one another")
    if isinstance(value, dict):
        return _tuple([f"({key!r}, {text(value[key], left - 1)})" for key in sorted(value)])
    if isinstance(value, list):
        return _tuple([text(item, left - 1) for item in value])
    return repr(value)


def _tuple(parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def copied(value: Any) -> Any:
    """A deep copy of a JSON value."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def merge(record: Record, change: Mapping[str, Any]) -> None:
    """Changes a record: dicts key by key, all other values as a whole."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(record.get(key), dict):
            merge(record[key], value)
        else:
            record[key] = copied(value)


class Snapshot:
    """Tables as they are at the beginning, never changed.

    Args:
        tables: by name, records by key; every table has at least two.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._keys = {name: sorted(table) for name, table in tables.items()}
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self._bytes = self._written()
        self._states = [sha256()]
        for start in range(0, len(self._bytes) - STRIDE, STRIDE):
            state = self._states[-1].copy()
            state.update(self._bytes[start : start + STRIDE])
            self._states.append(state)
        self.hash = self.hash_with({})

    def _written(self) -> bytes:
        pieces: list[bytes] = []
        length = 0

        def write(piece: str) -> None:
            nonlocal length
            pieces.append(piece.encode())
            length += len(pieces[-1])

        for number, (name, keys) in enumerate(sorted(self._keys.items())):
            write(f"{', ' if number else '('}({name!r}, (")
            for place, key in enumerate(keys):
                write(", " if place else "")
                start = length
                write(f"({key!r}, {text(self.tables[name][key])})")
                self._places[name, key] = start, length
            write("))")
        write(")")
        return b"".join(pieces)

    def same(self, table: str, key: str, written: str) -> bool:
        """Whether the text of a record is what it is in the snapshot; False for a new record."""
        start, end = self._places.get((table, key), (0, 0))
        return self._bytes[start:end] == f"({key!r}, {written})".encode()

    def hash_with(self, changes: Changes) -> str:
        """The original's hash of the tables with some records replaced or added, hexadecimal."""
        # By place, then by key: the text of a key may sort otherwise, and several records may go into one gap.
        edits = sorted((*self._place(*place), place[1], written) for place, written in changes.items())
        first = edits[0][0] if edits else len(self._bytes)
        number = min(first // STRIDE, len(self._states) - 1)
        state, at = self._states[number].copy(), number * STRIDE
        view = memoryview(self._bytes)
        for start, end, key, written in edits:
            record = f"({key!r}, {written})"
            state.update(view[at:start])
            # In the gap at the end of a table the comma goes before the record, in any other behind it.
            inserted = start == end
            last = inserted and self._bytes[start : start + 1] == b")"
            state.update((f", {record}" if last else f"{record}, " if inserted else record).encode())
            at = end
        state.update(view[at:])
        return state.hexdigest()

    def _place(self, table: str, key: str) -> tuple[int, int]:
        """Which bytes a record is written in; an empty range, the gap where it belongs, for a new one."""
        if (table, key) in self._places:
            return self._places[table, key]
        keys = self._keys[table]
        after = bisect_left(keys, key)
        gap = self._places[table, keys[after]][0] if after < len(keys) else self._places[table, keys[-1]][1]
        return gap, gap


class Database:
    """The tables of one episode.

    What `get` and `items` return must not be changed; `edit` returns a record that may be.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._own: dict[str, dict[str, Record]] = {name: {} for name in snapshot.tables}

    def get(self, table: str, key: str) -> Record | None:
        """A record; None if there is none of that key."""
        own = self._own[table].get(key)
        return own if own is not None else self._snapshot.tables[table].get(key)

    def items(self, table: str) -> Iterator[tuple[str, Record]]:
        """All keys and records, in the order of the file, new ones last."""
        base, own = self._snapshot.tables[table], self._own[table]
        yield from ((key, own.get(key, record)) for key, record in base.items())
        yield from ((key, record) for key, record in own.items() if key not in base)

    def edit(self, table: str, key: str) -> Record:
        """A record to be changed in place.

        Raises:
            KeyError: there is none of that key.
        """
        own = self._own[table]
        if key not in own:
            own[key] = copied(self._snapshot.tables[table][key])
        return own[key]

    def add(self, table: str, key: str, record: Record) -> None:
        """Puts a new record into a table."""
        self._own[table][key] = record

    def changes(self) -> Changes:
        """What is not as it was at the beginning; empty if everything is."""
        written = {(name, key): text(record) for name, own in self._own.items() for key, record in own.items()}
        return {place: record for place, record in written.items() if not self._snapshot.same(*place, record)}

    def hash(self) -> str:
        """The original's hash of all tables, hexadecimal."""
        return self._snapshot.hash_with(self.changes())
