"""Read a run directory; nothing here writes to it or locks it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from zlib import crc32

from hero import __version__
from hero.errors import RunError
from hero.runs.codec import Record, decode_diagnosis, decode_trajectory, encode_diagnosis, encode_trajectory
from hero.runs.sealed import COPY, file_checksum, parse, read_small, require_file, unseal
from hero.types import Diagnosis, Trajectory

SCHEMA: Final = 6
KINDS: Final = ("episodes", "validation", "steps", "evals", "timings")
"""Kinds of records; each has its own .jsonl file, with one record (a row) per line."""
CHECKED: Final = ("episodes", "validation", "steps", "evals")
"""Kinds whose checksums a checkpoint holds: all but the wall-clock times, in which equal runs differ."""

MEMORY_SETTINGS: Final = ("gradient_checkpointing", "kv_cache_gib", "micro_batch_tokens")
"""Settings that change the memory of a run and, up to rounding, no result; a run that is resumed may change them."""

EVALUATION: Final = "evaluation.json"
"""What `hero eval --out` writes beside the episodes, by which a directory is known not to be that of a run."""

T = TypeVar("T")
WhichCheckpoint = Literal["best", "newest"]


@dataclass(frozen=True, slots=True)
class Config:
    """The contents of config.json, which say how a run was started.

    Attributes:
        settings: the options of the run, plain JSON.
        provenance: data, model and library versions that the options resolved to, plain JSON; {} if not recorded.
        version: version of the package that started the run.
    """

    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    version: str

    def record(self) -> Record:
        """Returns the contents of config.json without the checksum."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "settings": dict(self.settings),
            "provenance": dict(self.provenance),
        }


@dataclass(frozen=True, slots=True)
class Episode:
    """One training episode as a run stores it.

    Attributes:
        step: training step that the episode was played for, from 1.
    """

    step: int
    trajectory: Trajectory
    diagnosis: Diagnosis

    def record(self) -> Record:
        """Returns the episode as plain JSON, for one line of episodes.jsonl."""
        return {
            "step": self.step,
            "trajectory": encode_trajectory(self.trajectory),
            "diagnosis": encode_diagnosis(self.diagnosis),
        }


@dataclass(frozen=True, slots=True)
class ValidationEpisode:
    """One episode of an evaluation as a run stores it.

    Attributes:
        step: number of complete steps when it was played; 0 before training.
        mode: how actions were drawn: `sampled` or `greedy`.
    """

    step: int
    mode: str
    trajectory: Trajectory

    def record(self) -> Record:
        """Returns the episode as plain JSON, for one line of validation.jsonl."""
        return {"step": self.step, "mode": self.mode, "trajectory": encode_trajectory(self.trajectory)}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete step.

    Attributes:
        best: the best step so far; its checkpoint is kept, too.
        trainer: directory that the trainer's `save` wrote.
        rows: number of records of each of `KINDS` that belong to the steps up to this one.
        checksums: CRC-32 of those lines, for each of `CHECKED`.
    """

    step: int
    best: int
    trainer: Path
    rows: Mapping[str, int]
    checksums: Mapping[str, int]


def read_config(path: Path) -> Config:
    """Returns the contents of a run's config.json.

    Raises:
        RunError: the directory holds no run or one of another schema, or config.json is damaged.
    """
    file = path / "config.json"
    if not os.path.lexists(file):
        if is_run_dir(path):
            raise RunError(f"{path} has records of a run but no config.json; {COPY}")
        raise RunError(f"{path} is not a run directory: it has no config.json; look for the --out of `hero run`")
    content = read_small(file)
    record = parse(content, str(file))
    if record.get("schema") != SCHEMA:
        version = f"{record.get('version', 'of that time')!s:.40}"
        if version == __version__:  # between two releases
            version = "of an earlier commit, or start another run with another --out"
        raise RunError(
            f"{file} has schema {record.get('schema')!r:.40} and this version reads {SCHEMA}; use hero-agents {version}"
        )
    record = unseal(content, file)
    return Config(record["settings"], record["provenance"], record["version"])


def read_settings(path: Path) -> dict[str, Any]:
    """Returns the settings of a run.

    Raises:
        RunError: as for `read_config`.
    """
    return dict(read_config(path).settings)


def read_summary(path: Path) -> Record:
    """Returns the summary of a finished run.

    Raises:
        RunError: the run is not finished, or its summary.json is damaged.
    """
    return unseal(read_small(path / "summary.json"), path / "summary.json")


def is_run_dir(path: Path) -> bool:
    """Returns whether a directory holds a run, even a damaged one. A model's directory has a config.json, too."""
    try:
        if os.path.lexists(path / EVALUATION):
            return False
        if any(os.path.lexists(path / f"{kind}.jsonl") for kind in KINDS):
            return True
        return "schema" in parse(read_small(path / "config.json"), "")
    except (OSError, ValueError, RunError):  # ValueError: a name with a zero byte
        return False


def latest_checkpoint(path: Path) -> Checkpoint | None:
    """Returns the newest complete step of a run, with every file of it checked; None if there is none yet.

    Raises:
        RunError: the step is damaged, or steps were completed but no checkpoint is there.
    """
    return read_checkpoint(path, "newest", lambda checkpoint: checkpoint)


def read_checkpoint(path: Path, which: WhichCheckpoint, read: Callable[[Checkpoint], T]) -> T | None:
    """Returns the result of `read` for a checkpoint of a run; None if no step is complete yet.

    Evaluating a run that is still training is usual: where the next step replaces the one that is being read, `read` is
    called again for the next one.

    Raises:
        RunError: as for `latest_checkpoint`.
    """
    while newest := _newest_folder(path):
        try:
            folder = newest if which == "newest" else step_folder(path, _read_progress(newest)["best"])
            return read(check_checkpoint(folder))
        except (OSError, RunError):
            if newest == _newest_folder(path):  # a step is removed only once a newer one is there
                raise
    for kind in ("episodes", "steps"):
        file = path / f"{kind}.jsonl"
        if os.path.lexists(file) and require_file(file):
            raise RunError(f"{path} has {file.name} but no checkpoint; restore checkpoints/ from a copy")
    return None


def step_folder(path: Path, step: int) -> Path:
    """Returns the directory of the checkpoint of a step."""
    return path / "checkpoints" / f"step-{step:06d}"


def step_folders(path: Path) -> list[Path]:
    """Returns the directories of complete steps of a run, in no particular order; other files are left out."""
    entries = (path / "checkpoints").glob("step-*")
    return [entry for entry in entries if re.fullmatch(r"step-[0-9]{6,12}", entry.name) and entry.is_dir()]


def _newest_folder(path: Path) -> Path | None:
    return max(step_folders(path), key=lambda folder: int(folder.name.removeprefix("step-")), default=None)


def _read_progress(folder: Path) -> Record:
    progress = folder / "progress.json"
    if not os.path.lexists(progress):
        raise RunError(f"{folder} is damaged (it has no progress.json); {COPY}")
    return unseal(read_small(progress), progress)


def check_checkpoint(folder: Path) -> Checkpoint:
    """Returns the checkpoint in a directory, with every file of it checked.

    Raises:
        RunError: a file is missing or was changed; the message names it.
    """
    record = _read_progress(folder)
    trainer = folder / "trainer"
    for name, expected in record["files"].items():
        if file_checksum(trainer / name) != expected:
            raise RunError(f"{trainer / name} is damaged (its checksum differs); {COPY}")
    return Checkpoint(record["step"], record["best"], trainer, record["rows"], record["checksums"])


def read_rows(path: Path, kind: str) -> list[Record]:
    """Returns all records of one kind of a run, oldest first; empty if there are none.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """
    file = path / f"{kind}.jsonl"
    if not os.path.lexists(file):
        return []
    require_file(file)
    lines = file.read_bytes().split(b"\n")[:-1]
    return [parse(line, f"{file}, line {number}") for number, line in enumerate(lines, 1)]


def progress(steps: Sequence[Record]) -> tuple[int, int]:
    """Returns the number of complete steps, and of the environment turns that they used, from the rows of all steps."""
    return (steps[-1]["step"], steps[-1]["turns"]) if steps else (0, 0)


def read_episodes(path: Path) -> Iterator[Episode]:
    """Yields every training episode of a run, oldest first.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """

    def read(row: Record) -> Episode:
        return Episode(row["step"], decode_trajectory(row["trajectory"]), decode_diagnosis(row["diagnosis"]))

    return read_each(path, "episodes", read)


def read_validation(path: Path) -> Iterator[ValidationEpisode]:
    """Yields every validation episode of a run, oldest first; none of a run by a version that did not keep them.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """

    def read(row: Record) -> ValidationEpisode:
        return ValidationEpisode(row["step"], row["mode"], decode_trajectory(row["trajectory"]))

    return read_each(path, "validation", read)


def check_rows(path: Path, *kinds: str) -> None:
    """Checks the records of complete steps against the newest checkpoint; a run without one yet is not checked.

    Raises:
        RunError: records are missing or were changed; the message names the file.
    """
    newest = _newest_folder(path)
    try:
        progress = _read_progress(newest) if newest else {"rows": {}, "checksums": {}}
    except (OSError, RunError):
        if newest == _newest_folder(path):
            raise
        return check_rows(path, *kinds)  # a run that goes on has replaced it
    for kind in kinds:
        file, rows = path / f"{kind}.jsonl", progress["rows"].get(kind, 0)
        lines = file.read_bytes().splitlines(keepends=True)[:rows] if rows and file.is_file() else []
        if len(lines) < rows or (rows and crc32(b"".join(lines)) != progress["checksums"][kind]):
            raise RunError(f"{file} is damaged (records of complete steps are missing or were changed); {COPY}")


def read_each(path: Path, kind: str, read: Callable[[Record], T]) -> Iterator[T]:
    """Yields what `read` makes of each record of one kind, oldest first.

    Raises:
        RunError: a record cannot be read; the message names the file and the line.
    """
    for number, row in enumerate(read_rows(path, kind), 1):
        try:
            yield read(row)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{path / kind}.jsonl, line {number} is not an episode: {error!r}") from error
