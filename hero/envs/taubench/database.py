"""Plain tables of records, shared by all episodes: an episode copies the records that it writes, and no others.

The hash is the original's: SHA-256 of the text of nested tuples, sorted by key. The text of the untouched tables is
kept once, with the state of the hash along the way, so that only the bytes after the first change are hashed again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from hero.envs.shared import Shared
from hero.envs.taubench.data.reading import MAX_DEPTH

Record = dict[str, Any]
Tables = Mapping[str, Mapping[str, Record]]
Changes = Mapping[tuple[str, str], str]
"""The text of each record that differs from the beginning, by table and key."""

STRIDE: Final = 1 << 17
"""Bytes between two remembered states of the hash."""


def text(value: Any, depth: int = MAX_DEPTH + 20) -> str:
    """Writes a JSON value as the original does before hashing: dicts as sorted pairs, lists as tuples.

    Args:
        depth: maximum nesting of lists and dicts: those of a call, within those of a record.

    Raises:
        RecursionError: they are nested more deeply.
    """
    if depth < 0:
        raise RecursionError("lists or dicts are nested too deeply")
    if isinstance(value, dict):
        return _tuple([f"({key!r}, {text(value[key], depth - 1)})" for key in sorted(value)])
    if isinstance(value, list):
        return _tuple([text(item, depth - 1) for item in value])
    return repr(value)


def _tuple(parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def copied(value: Any) -> Any:
    """Returns a deep copy of a JSON value."""
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


class Snapshot(Shared):
    """Tables as they are at the beginning, never changed.

    Args:
        tables: records by table and key; every table has at least two.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._keys = {name: sorted(table) for name, table in tables.items()}
        self._spans: dict[tuple[str, str], tuple[int, int]] = {}
        self._bytes = self._written()
        self._states = [sha256()]
        for start in range(0, len(self._bytes) - STRIDE, STRIDE):
            state = self._states[-1].copy()
            state.update(self._bytes[start : start + STRIDE])
            self._states.append(state)
        self.hash = self.hash_with({})

    def _written(self) -> bytes:
        """Returns the text of all tables as bytes, and sets the span of each record."""
        pieces: list[bytes] = []
        length = 0

        def write(piece: str) -> None:
            nonlocal length
            pieces.append(piece.encode())
            length += len(pieces[-1])

        for table_index, (name, keys) in enumerate(sorted(self._keys.items())):
            write(f"{', ' if table_index else '('}({name!r}, (")
            for index, key in enumerate(keys):
                write(", " if index else "")
                start = length
                write(f"({key!r}, {text(self.tables[name][key])})")
                self._spans[name, key] = start, length
            write("))")
        write(")")
        return b"".join(pieces)

    def same(self, table: str, key: str, written: str) -> bool:
        """Returns whether the text of a record is as in the snapshot; False for a new record."""
        start, end = self._spans.get((table, key), (0, 0))
        return self._bytes[start:end] == f"({key!r}, {written})".encode()

    def hash_with(self, changes: Changes) -> str:
        """Returns the original's hash of the tables with some records replaced or added, hexadecimal."""
        # By span, then by key: the text of a key may sort otherwise, and several records may go into one gap.
        edits = sorted((*self._span(table, key), key, written) for (table, key), written in changes.items())
        first = edits[0][0] if edits else len(self._bytes)
        stride = min(first // STRIDE, len(self._states) - 1)
        state, hashed = self._states[stride].copy(), stride * STRIDE
        view = memoryview(self._bytes)
        for start, end, key, written in edits:
            record = f"({key!r}, {written})"
            state.update(view[hashed:start])
            # In the gap at the end of a table the comma goes before the record, in any other behind it.
            inserted = start == end
            last = inserted and self._bytes[start : start + 1] == b")"
            state.update((f", {record}" if last else f"{record}, " if inserted else record).encode())
            hashed = end
        state.update(view[hashed:])
        return state.hexdigest()

    def _span(self, table: str, key: str) -> tuple[int, int]:
        """Returns the bytes of a record; for a new one an empty range, the gap where it belongs."""
        if (table, key) in self._spans:
            return self._spans[table, key]
        keys = self._keys[table]
        after = bisect_left(keys, key)
        gap = self._spans[table, keys[after]][0] if after < len(keys) else self._spans[table, keys[-1]][1]
        return gap, gap


class Database:
    """The tables of one episode.

    Records from `get` and `items` must not be changed; `edit` returns a record that may be.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._own: dict[str, dict[str, Record]] = {name: {} for name in snapshot.tables}

    def copy(self) -> Database:
        """Returns the tables in their present state, on which changes here have no influence."""
        other = Database(self._snapshot)
        other._own = copied(self._own)
        return other

    def get(self, table: str, key: str) -> Record | None:
        """Returns a record; None if no record has that key."""
        own = self._own[table].get(key)
        return own if own is not None else self._snapshot.tables[table].get(key)

    def items(self, table: str) -> Iterator[tuple[str, Record]]:
        """Yields all keys and records, in the order of the file, new ones last."""
        base, own = self._snapshot.tables[table], self._own[table]
        yield from ((key, own.get(key, record)) for key, record in base.items())
        yield from ((key, record) for key, record in own.items() if key not in base)

    def edit(self, table: str, key: str) -> Record:
        """Returns a record that may be changed in place.

        Raises:
            KeyError: no record has that key.
        """
        own = self._own[table]
        if key not in own:
            own[key] = copied(self._snapshot.tables[table][key])
        return own[key]

    def add(self, table: str, key: str, record: Record) -> None:
        """Puts a new record into a table."""
        self._own[table][key] = record

    def changes(self) -> Changes:
        """Returns the records that differ from the beginning; empty if none does."""
        written = {(name, key): text(record) for name, own in self._own.items() for key, record in own.items()}
        return {
            (table, key): record
            for (table, key), record in written.items()
            if not self._snapshot.same(table, key, record)
        }

    def hash(self) -> str:
        """Returns the original's hash of all tables, hexadecimal."""
        return self._snapshot.hash_with(self.changes())
