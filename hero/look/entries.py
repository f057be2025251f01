"""The episodes of a run, or of an evaluation, each with the place where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeAlias
from zlib import crc32

from hero.errors import RunError
from hero.runs.codec import decode_trajectory, encode_lines, encode_trajectory
from hero.runs.reader import (
    CHECKED,
    EVALUATION,
    MEMORY_SETTINGS,
    check_rows,
    read_config,
    read_each,
    read_episodes,
    read_validation,
)
from hero.runs.sealed import seal, unseal
from hero.types import Diagnosis, Trajectory

Split: TypeAlias = Literal["training", "validation", "evaluation"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One episode of a run.

    Attributes:
        split: the episodes that it is one of.
        number: line of the episode in its file, from 1; with the split it names the episode.
        step: training step that it was played for, or number of complete steps when it was played to evaluate.
        mode: how actions were drawn: `sampled` or `greedy`.
        diagnosis: None where nobody has reviewed it, as in validation.
    """

    split: Split
    number: int
    step: int
    mode: str
    trajectory: Trajectory
    diagnosis: Diagnosis | None

    @property
    def key(self) -> str:
        """The name of the episode within its run, such as `training/12`."""
        return f"{self.split}/{self.number}"


def read_entries(path: Path, splits: Sequence[Split] = ("training", "validation")) -> list[Entry]:
    """Returns the episodes of a run, or of a directory that `hero eval --out` wrote, in the order of their files.

    Args:
        splits: those of a run to read.

    Raises:
        RunError: the directory holds neither, or a record cannot be read.
    """
    if is_evaluation(path):
        return [*_evaluation(path)]
    read_config(path)
    check_rows(path, *CHECKED)
    entries: list[Entry] = []
    if "training" in splits:
        entries += (
            Entry("training", number, each.step, "sampled", each.trajectory, each.diagnosis)
            for number, each in enumerate(read_episodes(path), 1)
        )
    if "validation" in splits:
        entries += (
            Entry("validation", number, each.step, each.mode, each.trajectory, None)
            for number, each in enumerate(read_validation(path), 1)
        )
    return entries


def batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yields the entries that were played together, and so are reviewed together, in order."""
    for _, batch in groupby(entries, key=lambda entry: (entry.split, entry.step, entry.mode)):
        yield list(batch)


def is_evaluation(path: Path) -> bool:
    """Returns whether a directory is one that `hero eval --out` wrote."""
    return (path / EVALUATION).is_file()


def identity(path: Path) -> int:
    """Returns a checksum by which notes about a run are known to be about it: that of how it was started.

    Of the settings, those that may change when a run is resumed are left out.
    """
    config, changing = read_config(path), {"steps", "turn_budget", *MEMORY_SETTINGS}
    settings = {name: value for name, value in config.settings.items() if name not in changing}
    return crc32(json.dumps([settings, config.provenance, config.version], sort_keys=True).encode())


def make_empty(path: Path) -> None:
    """Makes an empty directory, before anything is played for it.

    Raises:
        RunError: there is something in it, or it cannot be made.
    """
    from hero.runs import durable

    with durable.translate_write_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise RunError(f"{path} already holds something; choose another --out")


def write_evaluation(path: Path, record: dict[str, Any], trajectories: Sequence[Trajectory]) -> None:
    """Writes what an evaluation played and found into a directory that is empty.

    Args:
        record: measures and settings, plain JSON; `step` and `mode` are among them.

    Raises:
        RunError: the directory cannot be written.
    """
    from hero.runs import durable

    lines = encode_lines({"trajectory": encode_trajectory(each)} for each in trajectories)
    with durable.translate_write_errors(path):
        durable.append(path / "episodes.jsonl", lines)
        durable.write(path / EVALUATION, seal(record))


def read_evaluation(path: Path) -> dict[str, Any]:
    """Returns the record of an evaluation.

    Raises:
        RunError: it was changed.
    """
    return unseal((path / EVALUATION).read_bytes(), path / EVALUATION)


def _evaluation(path: Path) -> Iterator[Entry]:
    record = read_evaluation(path)
    trajectories = read_each(path, "episodes", lambda row: decode_trajectory(row["trajectory"]))
    for number, trajectory in enumerate(trajectories, 1):
        yield Entry("evaluation", number, record["step"] or 0, record["mode"], trajectory, None)
