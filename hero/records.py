"""Reading a run directory, whoever wrote it and whether or not it still does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from hero.codec import Record, decode_diagnosis, decode_trajectory, encode_diagnosis, encode_trajectory
from hero.errors import RunError
from hero.types import Diagnosis, Trajectory

SCHEMA: Final = 2
KINDS: Final = ("episodes", "steps", "evals", "timings")
"""Kinds of records, each in a .jsonl file of its own."""
CHECKED: Final = ("episodes", "steps", "evals")
"""Those whose contents a checkpoint vouches for: all but the wall-clock times, in which equal runs differ."""


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
        rows: how many records of each of `KINDS` belong to the steps up to this one.
        checksums: CRC-32 of those lines, for each of `CHECKED`.
    """

    step: int
    learner: Path
    rows: Mapping[str, int]
    checksums: Mapping[str, int]


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
    settings = record.get("settings")
    if not isinstance(settings, dict):
        raise RunError(f"{config} is damaged (its settings are {settings!r:.40}); restore it from a copy")
    return settings


def holds_run(path: Path) -> bool:
    """Whether there is a run in a directory, and not a model, which has a config.json too."""
    try:
        return "schema" in _parse((path / "config.json").read_bytes(), "")
    except (OSError, RunError):
        return False


def latest_checkpoint(path: Path) -> Checkpoint | None:
    """The newest complete step of a run; None if there is none yet.

    Raises:
        RunError: its record of progress cannot be read, or there is none although steps were completed.
    """
    folders = [entry for entry in path.glob("checkpoints/step-*") if re.fullmatch(r"step-\d{6,}", entry.name)]
    if not folders:
        for kind in ("episodes", "steps"):
            if (file := path / f"{kind}.jsonl").exists() and file.stat().st_size:
                raise RunError(f"{path} has {file.name} but no checkpoint; restore checkpoints/ from a copy")
        return None
    newest = max(folders, key=lambda entry: int(entry.name.removeprefix("step-")))
    progress = newest / "progress.json"
    if not progress.is_file():
        raise RunError(f"{newest} is damaged (it has no progress.json); restore it from a copy")
    record = _parse(progress.read_bytes(), str(progress))
    rows, checksums = record.get("rows"), record.get("checksums")
    if not (_is_count(record.get("step")) and _are_counts(rows, KINDS) and _are_counts(checksums, CHECKED)):
        raise RunError(f"{progress} is damaged (it does not say how many records there are); restore it from a copy")
    return Checkpoint(record["step"], newest / "learner", rows, checksums)


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


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_counts(value: object, names: Sequence[str]) -> TypeGuard[dict[str, int]]:
    return isinstance(value, dict) and all(_is_count(value.get(name)) for name in names)


def _parse(line: bytes, where: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise RunError(f"{where} is damaged ({error}); restore it from a copy") from error
    if not isinstance(record, dict):
        raise RunError(f"{where} is damaged (it holds no record but {line[:40]!r}); restore it from a copy")
    return record
