"""Notes beside a run: a file with a line per episode, such as its diagnosis by another reflector, or its scores.

The first line says what the notes are and of which run. A file that was left unfinished is continued.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self
from zlib import crc32

from filelock import FileLock, Timeout

from hero.errors import ConfigError, RunError
from hero.look.entries import identity
from hero.runs import durable
from hero.runs.codec import encode_lines
from hero.runs.reader import read_config
from hero.runs.sealed import parse

FORMAT: Final = 1
WRITTEN_BY: Final = {"scores": "hero score", "diagnoses": "hero reflect"}
"""The kinds of notes, and the command that writes each."""
Note = dict[str, Any]


def beside(run: Path, kind: str) -> Path:
    """Returns the usual file of notes of a kind: `RUN-KIND.jsonl`, in the directory that the run's is in."""
    path = Path(os.path.abspath(run))  # without any ..
    return path.with_name(f"{path.name}-{kind}.jsonl")


def require_outside(out: Path) -> None:
    """Refuses to write into a run.

    Raises:
        ConfigError: what is written would be the directory of a run, or in one.
    """
    place = out.resolve()
    for folder in (place, *place.parents):
        with suppress(RunError):  # another directory
            read_config(folder)
            raise ConfigError(
                f"{out} is within the run {folder}, into which nothing else is written; give another place"
            )


def require_file_outside(file: Path) -> None:
    """Refuses to write a file into a run, or onto a directory.

    Raises:
        ConfigError: the file would be in the directory of a run, or is a directory.
    """
    require_outside(file)
    if file.is_dir():
        raise ConfigError(f"--out {file} is a directory; give a file")


def checksum_of(file: Path) -> int:
    """Returns a checksum of a file of notes, by which others that were made with it know it."""
    return crc32(file.read_bytes())


def read_notes(file: Path, kind: str, run: Path) -> tuple[Note, dict[str, Note]]:
    """Returns the first line of a file of notes, and the notes by `Entry.key`.

    Raises:
        RunError: the file cannot be read, holds something else, or is about another run.
    """
    if not file.is_file():
        raise RunError(f"{file} is not a file; {WRITTEN_BY[kind]} writes one")
    if not (lines := _complete_lines(file)):
        raise RunError(f"{file} has no complete line, so it holds no {kind}; remove it")
    header, *rows = (parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1))
    if header.get("format") != FORMAT or header.get("kind") != kind:
        raise RunError(f"{file} does not hold {kind} of this version; remove it, or give another file")
    if header.get("run") != identity(run):
        raise RunError(f"{file} is about another run than {run}; remove it, or give another file")
    if any(not isinstance(row.get("episode"), str) for row in rows):
        raise RunError(f"{file} is damaged (a line names no episode); remove it")
    return header, {row["episode"]: row for row in rows}


def _complete_lines(file: Path) -> list[bytes]:
    *lines, _ = file.read_bytes().split(b"\n")
    return lines


class NotesWriter:
    """Writes notes, line by line; use it in a `with` block, during which no other process writes the file.

    Attributes:
        done: keys of the episodes that have theirs already.

    Args:
        about: what the notes were made with, plain JSON; a file that was made with something else is refused.

    Raises:
        RunError: the file cannot be written, holds other notes, or is being written by another process.
    """

    def __init__(self, file: Path, kind: str, run: Path, about: Mapping[str, Any]) -> None:
        self.file = file
        self._header = {"format": FORMAT, "kind": kind, "run": identity(run), **about}
        self._kind, self._run = kind, run
        self._lock = FileLock(file.with_name(f"{file.name}.lock"))
        self.done: set[str] = set()

    def __enter__(self) -> Self:
        with durable.translate_write_errors(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                raise RunError(f"another process is writing {self.file}; wait until it ends") from None
        try:
            self._begin()
        except BaseException:
            self._release()
            raise
        return self

    def _begin(self) -> None:
        lines = _complete_lines(self.file) if self.file.is_file() else []
        if not lines:  # new, or ended before its first line was complete
            with durable.translate_write_errors(self.file):
                self.file.write_bytes(b"")
            self._append(self._header)
            return
        old, notes = read_notes(self.file, self._kind, self._run)
        if old != self._header:
            names = sorted(name for name in self._header | old if self._header.get(name) != old.get(name))
            raise RunError(f"{self.file} was made with another {', '.join(names)}; give another --out, or remove it")
        self.done = set(notes)
        with durable.translate_write_errors(self.file):
            durable.truncate(self.file, len(lines), None)

    def __exit__(self, *raised: object) -> None:
        self._release()

    def _release(self) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def write(self, notes: Mapping[str, Mapping[str, Any]]) -> None:
        """Appends notes by `Entry.key`; they are on the disk when this returns."""
        self._append(*({"episode": key, **note} for key, note in notes.items()))
        self.done |= notes.keys()

    def _append(self, *rows: Mapping[str, Any]) -> None:
        with durable.translate_write_errors(self.file):
            durable.append(self.file, encode_lines(rows))
