"""A run as seen by a process that takes part in it and does not write its directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hero.runs.codec import Record
from hero.runs.reader import Checkpoint, latest_checkpoint, read_rows, step_folder


class Replica:
    """Keeps in memory what another process writes, with the methods of `hero.runs.writer.Run`.

    Make it when the directory is open there, and before anything more is written.

    Attributes:
        checkpoint: newest complete step; None before the first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = latest_checkpoint(path)
        self._rows = {kind: read_rows(path, kind) for kind in ("steps", "evals")}

    def record(self, kind: str, *rows: Mapping[str, Any]) -> None:
        """Keeps records of steps and evaluations; training reads the others at its start alone."""
        if kind in self._rows:
            self._rows[kind] += map(dict, rows)

    def rows(self, kind: str) -> list[Record]:
        """Returns all records of one kind, oldest first."""
        return list(self._rows[kind]) if kind in self._rows else read_rows(self.path, kind)

    def save_checkpoint(self, step: int, save: Callable[[Path], None], *, best: int) -> None:
        """Takes part in the saving of a step."""
        trainer = step_folder(self.path, step) / "trainer"
        save(trainer)
        self.checkpoint = Checkpoint(step, best, trainer, {}, {})

    def extend(self, changes: Mapping[str, Any]) -> None:
        """Leaves that to the other process."""

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Leaves that to the other process."""
