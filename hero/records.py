"""Reading a run directory, whoever wrote it and whether or not it still does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hero.codec import Record, decode_diagnosis, decode_trajectory, encode_diagnosis, encode_trajectory
from hero.errors import RunError
from hero.types import Diagnosis, Trajectory

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class Episode:
    """One training episode as it is stored.

    Attributes:
        step: the training step that it was played for, from 1.
    """

    step: int
    trajectory: Trajectory
    diagnosis: Diagnosis

    def record(self) -> Record:
        """The episode as plain JSON values, for one line of a file."""
        return {
            "step": self.step,
            "trajectory": encode_trajectory(self.trajectory),
            "diagnosis": encode_diagnosis(self.diagnosis),
        }


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete step.

    Attributes:
        learner: the directory that the learner's `save` wrote.
        rows: how many records of each kind belong to the steps up to this one.
    """

    step: int
    learner: Path
    rows: Mapping[str, int]


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises:
        RunError: the directory holds no run, or one of another schema.
    """
    config = path / "config.json"
    if not config.is_file():
        raise RunError(f"{path} is not a run directory: it has no config.json; look for the --out of `hero run`")
    record = _parse(config.read_bytes(), str(config))
    if record.get("schema") != SCHEMA:
        raise RunError(
            f"{config} has schema {record.get('schema')!r} and this version reads {SCHEMA}; "
            f"use hero-agents {record.get('version', 'of that time')}"
        )
    settings: dict[str, Any] = record["settings"]
    return settings


def latest_checkpoint(path: Path) -> Checkpoint | None:
    """The newest complete step of a run; None if there is none yet.

    Raises:
        RunError: its record of progress cannot be read.
    """
    folders = [entry for entry in path.glob("checkpoints/step-*") if re.fullmatch(r"step-\d{6,}", entry.name)]
    if not folders:
        return None
    newest = max(folders, key=lambda entry: int(entry.name.removeprefix("step-")))
    progress = newest / "progress.json"
    if not progress.is_file():
        raise RunError(f"{newest} is damaged (it has no progress.json); restore it from a copy")
    record = _parse(progress.read_bytes(), str(progress))
    return Checkpoint(record["step"], newest / "learner", record["rows"])


def read_rows(path: Path, kind: str) -> list[Record]:
    """All records of one kind of a run, oldest first; empty if there are none.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """
    file = path / f"{kind}.jsonl"
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    return [_parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1)]


def read_episodes(path: Path) -> Iterator[Episode]:
    """Every training episode of a run, oldest first.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """
    for number, row in enumerate(read_rows(path, "episodes"), 1):
        try:
            yield Episode(row["step"], decode_trajectory(row["trajectory"]), decode_diagnosis(row["diagnosis"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path / 'episodes.jsonl'}, line {number} is not an episode: {error!r}") from error


def _parse(line: bytes, where: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise RunError(f"{where} is damaged ({error}); restore it from a copy") from error
    if not isinstance(record, dict):
        raise RunError(f"{where} is damaged (it holds no record but {line[:40]!r}); restore it from a copy")
    return record
