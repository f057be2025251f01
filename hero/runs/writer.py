"""The run directory: what a training run leaves behind, written so that nothing but the step in flight can be lost.

    config.json      schema number, version, all settings, and the provenance: what they came to where the run started
    episodes.jsonl   every training episode with its diagnosis
    steps.jsonl      the metrics of every step
    evals.jsonl      every evaluation, with the outcome of every task
    timings.jsonl    all wall-clock numbers; equal runs differ in this file alone
    checkpoints/     step-NNNNNN: the trainer's state and how many records belong to it; only the newest is kept
    summary.json     the run in a few numbers, once it is finished

A step is complete when its checkpoint was renamed into place. Resuming cuts off every record after that, and removes
older checkpoints and halves of them that a sudden death left behind; files of others stay.

Nothing is taken on trust: config.json, summary.json and the progress.json of a checkpoint end in a checksum of
themselves, and progress.json has those of the trainer's files and of all records but the timings. A single bit that
differs is refused, and the file named. Schema 3 brought the provenance and these checksums; other schemas are refused.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zlib import crc32

from filelock import FileLock

from hero import __version__
from hero.errors import RunError
from hero.runs.codec import Record
from hero.runs.durable import LOCK, PARTIAL, append, cut, discard, lock, remove_partial, sync, write, writing
from hero.runs.reader import CHECKED, KINDS, Checkpoint, Config, latest_checkpoint, read_config, read_rows, step_folders
from hero.runs.sealed import file_checksum, seal


class Run:
    """A run directory that this process writes to, and no other: `create` or `resume` one, best in a `with` block.

    Attributes:
        config: what the run was started with.
        checkpoint: the newest complete step; None before the first.
    """

    def __init__(self, path: Path, config: Config, held: FileLock) -> None:
        self.path = path
        self.config = config
        self.checkpoint = latest_checkpoint(path)
        self._lock = held
        self._rows = Counter(self.checkpoint.rows if self.checkpoint else {})
        self._checksums = Counter(self.checkpoint.checksums if self.checkpoint else {})
        for kind in KINDS:
            cut(path / f"{kind}.jsonl", self._rows[kind], self._checksums[kind] if kind in CHECKED else None)
        remove_partial(path)
        self._remove_all_but(self.checkpoint.trainer.parent if self.checkpoint else None)
        sync(path)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the run was asked to do."""
        return self.config.settings

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> Self:
        """Starts a run in a new or empty directory.

        Args:
            settings: plain JSON; `resume` compares with it.
            provenance: what the settings came to in these surroundings, plain JSON; kept for who resumes.

        Raises:
            RunError: the directory holds something, cannot be written, or another process is at it.
        """
        require_empty(path)
        config = Config(settings, provenance or {}, __version__)
        with writing(path), ExitStack() as stack:
            path.mkdir(parents=True, exist_ok=True)
            stack.callback((held := lock(path)).release)
            remove_partial(path)
            write(path / "config.json", seal(config.record()))
            run = cls(path, config, held)
            stack.pop_all()
        return run

    @classmethod
    def resume(cls, path: Path, given: Mapping[str, Any]) -> Self:
        """Takes a run up after its newest complete step, and cuts off whatever was recorded later.

        Args:
            given: settings that must be as they were; those that are left out are not compared.

        Raises:
            RunError: no run is there, a setting differs, the schema is unknown, a record or a file that belongs to a
                complete step is missing or was changed, or another process is at it.
        """
        config = read_config(path)
        for name, value in given.items():
            if config.settings.get(name) != value:
                was = json.dumps(config.settings.get(name))
                raise RunError(
                    f"{path} was started with {name} = {was}, not {json.dumps(value)}; "
                    "resume without that option, or start another run with another --out"
                )
        with writing(path), ExitStack() as stack:
            stack.callback((held := lock(path)).release)
            run = cls(path, config, held)
            stack.pop_all()
        return run

    def extend(self, changes: Mapping[str, Any]) -> None:
        """Changes settings of the run, which is not finished from here on.

        Args:
            changes: settings that decide only how long the run goes on.
        """
        config = replace(self.config, settings={**self.config.settings, **changes})
        with writing(self.path):
            (self.path / "summary.json").unlink(missing_ok=True)
            sync(self.path)
            write(self.path / "config.json", seal(config.record()))
        self.config = config

    def record(self, kind: str, *rows: Mapping[str, Any]) -> None:
        """Appends records of one kind, one line each; they are on the disk when this returns."""
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
        with writing(self.path):
            append(self.path / f"{kind}.jsonl", lines)
        self._rows[kind] += len(rows)
        self._checksums[kind] = crc32(lines, self._checksums[kind])

    def rows(self, kind: str) -> list[Record]:
        """All records of one kind, oldest first; empty if there are none."""
        return read_rows(self.path, kind)

    def save_checkpoint(self, step: int, save: Callable[[Path], None]) -> None:
        """Completes a step: from here on the run resumes after it, and older checkpoints are gone.

        Args:
            save: writes the trainer's state into the new directory that it is given.
        """
        folder = self.path / "checkpoints"
        partial, final = folder / PARTIAL, folder / f"step-{step:06d}"
        with writing(self.path):
            remove_partial(folder)
            partial.mkdir(parents=True)
            trainer = partial / "trainer"
            save(trainer)
            written = sorted(file for file in trainer.rglob("*") if file.is_file())
            progress: dict[str, Any] = {
                "step": step,
                "rows": {kind: self._rows[kind] for kind in KINDS},
                "checksums": {kind: self._checksums[kind] for kind in CHECKED},
                "files": {file.relative_to(trainer).as_posix(): file_checksum(file) for file in written},
            }
            for place in (*trainer.rglob("*"), trainer):
                sync(place)
            write(partial / "progress.json", seal(progress))
            partial.rename(final)
            sync(folder)
            self._remove_all_but(final)
        self.checkpoint = Checkpoint(step, final / "trainer", progress["rows"], progress["checksums"])

    def _remove_all_but(self, newest: Path | None) -> None:
        """Removes all other checkpoints, and what is left of one that was never complete."""
        for folder in step_folders(self.path):
            if folder != newest:
                discard(folder)
        remove_partial(self.path / "checkpoints")

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes summary.json, which says that the run is finished."""
        with writing(self.path):
            write(self.path / "summary.json", seal(summary))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


def require_empty(path: Path) -> None:
    """Says in time that a run cannot be created there; changes nothing.

    Raises:
        RunError: the directory holds something, or nothing can be written there.
    """
    with writing(path):
        held = sorted({entry.name for entry in path.iterdir()} - {LOCK, PARTIAL}) if path.exists() else []
        there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if held:
        what = "a run" if "config.json" in held else f"{held[0]!r}"
        raise RunError(f"{path} already holds {what}; choose another --out, or --resume the run that is there")
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise RunError(f"cannot write {path}: {there} is not a directory that you may write; choose another --out")
