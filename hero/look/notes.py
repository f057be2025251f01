"""Notes beside a run: a file with a line per episode, such as its diagnosis by another reflector, or its scores.

The first line says what the notes are and of which run. A file that was left unfinished is continued.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hero.errors import RunError
from hero.look.entries import identity
from hero.runs import durable
from hero.runs.sealed import parse

FORMAT: Final = 1
WRITTEN_BY: Final = {"scores": "hero score", "diagnoses": "hero reflect"}
"""The kinds of notes, and the command that writes each."""
Note = dict[str, Any]


def beside(run: Path, kind: str) -> Path:
    """Returns the usual file of notes of a kind: `RUN-KIND.jsonl`, in the directory that the run's is in."""
    path = run.absolute()
    return path.with_name(f"{path.name}-{kind}.jsonl")


def read_notes(file: Path, kind: str, run: Path) -> tuple[Note, dict[str, Note]]:
    """Returns the first line of a file of notes, and the notes by `Entry.key`.

    Raises:
        RunError: the file cannot be read, holds something else, or is about another run.
    """
    if not file.is_file():
        raise RunError(f"{file} is not a file; {WRITTEN_BY[kind]} writes one")
    *lines, _ = file.read_bytes().split(b"\n")
    if not lines:
        raise RunError(f"{file} has no complete line, so it holds no {kind}; remove it")
    header, *rows = (parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1))
    if header.get("format") != FORMAT or header.get("kind") != kind:
        raise RunError(f"{file} does not hold {kind} of this version; make them again with another --out")
    if header.get("run") != identity(run):
        raise RunError(f"{file} is about another run than {run}; make it again with another --out")
    return header, {row["episode"]: row for row in rows}


class NotesWriter:
    """Writes notes, line by line.

    Attributes:
        done: keys of the episodes that have theirs already.

    Args:
        about: what the notes were made with, plain JSON; a file that was made with something else is refused.

    Raises:
        RunError: the file cannot be written, or holds other notes.
    """

    def __init__(self, file: Path, kind: str, run: Path, about: Mapping[str, Any]) -> None:
        self.file = file
        header = {"format": FORMAT, "kind": kind, "run": identity(run), **about}
        self.done: set[str] = set()
        if os.path.lexists(file):
            old, notes = read_notes(file, kind, run)
            if old != header:
                differing = ", ".join(sorted(name for name in header | old if header.get(name) != old.get(name)))
                raise RunError(f"{file} was made with another {differing}; give another --out, or remove it")
            self.done = set(notes)
            with durable.translate_write_errors(file):
                durable.truncate(file, 1 + len(notes), None)
        else:
            with durable.translate_write_errors(file):
                file.parent.mkdir(parents=True, exist_ok=True)
            self._append(header)

    def write(self, notes: Mapping[str, Mapping[str, Any]]) -> None:
        """Appends notes by `Entry.key`; they are on the disk when this returns."""
        self._append(*({"episode": key, **note} for key, note in notes.items()))
        self.done |= notes.keys()

    def _append(self, *rows: Mapping[str, Any]) -> None:
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        with durable.translate_write_errors(self.file):
            durable.append(self.file, lines.encode())
