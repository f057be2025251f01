"""Write a run directory so that a sudden death loses nothing but the step in progress.

    config.json      schema number, version, all settings, and the provenance: what the settings resolved to
    episodes.jsonl   every training episode with its diagnosis
    validation.jsonl every episode of an evaluation
    steps.jsonl      the metrics of every step
    evals.jsonl      every evaluation, with the outcome of every task
    timings.jsonl    all wall-clock numbers; equal runs differ in this file alone
    checkpoints/     step-NNNNNN, the newest and the best: the trainer's state and how many records belong to it
    summary.json     the run in a few numbers, once it is finished

A step is complete once its checkpoint has been renamed into place. Resuming cuts off every later record, and removes
other and partial checkpoints that a sudden death left behind; it leaves all other files alone. Which step is the best
is in the progress.json of the newest.

config.json, summary.json and the progress.json of a checkpoint end with a checksum of themselves; progress.json holds
the checksums of the trainer's files and of all records but the timings. A file whose checksum differs is refused by
name, and so is a run of another schema.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from filelock import FileLock

from hero import __version__
from hero.errors import RunError
from hero.runs import durable
from hero.runs.codec import Record, encode_lines
from hero.runs.reader import (
    CHECKED,
    KINDS,
    Checkpoint,
    Config,
    check_checkpoint,
    latest_checkpoint,
    read_config,
    read_rows,
    step_folder,
    step_folders,
)
from hero.runs.sealed import file_checksum, seal


class Run:
    """A run directory that only this process writes to; `create` or `resume` one, best in a `with` block.

    Attributes:
        config: contents of config.json.
        checkpoint: newest complete step; None before the first.
    """

    def __init__(self, path: Path, config: Config, lock: FileLock) -> None:
        self.path = path
        self.config = config
        self.checkpoint = latest_checkpoint(path)
        if self.checkpoint and self.checkpoint.best != self.checkpoint.step:
            check_checkpoint(step_folder(path, self.checkpoint.best))
        self._lock = lock
        self._rows = Counter(self.checkpoint.rows if self.checkpoint else {})
        self._checksums = Counter(self.checkpoint.checksums if self.checkpoint else {})
        for kind in KINDS:
            checksum = self._checksums[kind] if kind in CHECKED else None
            durable.truncate(path / f"{kind}.jsonl", self._rows[kind], checksum)
        durable.remove_partial(path)
        self._remove_all_but(*((self.checkpoint.step, self.checkpoint.best) if self.checkpoint else ()))
        durable.sync(path)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The options of the run, as in `Config.settings`."""
        return self.config.settings

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> Self:
        """Starts a run in a new or empty directory.

        Args:
            settings: plain JSON.
            provenance: data, model and library versions that the settings resolved to, plain JSON.

        Raises:
            RunError: the directory is not empty, cannot be written, or is locked by another process.
        """
        require_empty(path)
        config = Config(settings, provenance or {}, __version__)
        with durable.translate_write_errors(path), ExitStack() as stack:
            path.mkdir(parents=True, exist_ok=True)
            stack.callback((lock := durable.lock(path)).release)
            durable.remove_partial(path)
            durable.write(path / "config.json", seal(config.record()))
            run = cls(path, config, lock)
            stack.pop_all()
        return run

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Resumes a run after its newest complete step, and cuts off all later records.

        Raises:
            RunError: there is no run, the schema is another, a record or a file of a complete step is missing or was
                changed, or another process holds the lock.
        """
        config = read_config(path)
        with durable.translate_write_errors(path), ExitStack() as stack:
            stack.callback((lock := durable.lock(path)).release)
            run = cls(path, config, lock)
            stack.pop_all()
        return run

    def extend(self, changes: Mapping[str, Any]) -> None:
        """Changes settings of the run, and removes its summary, since it is no longer finished.

        Args:
            changes: settings that decide only how long the run lasts, or what memory it takes.
        """
        config = replace(self.config, settings={**self.config.settings, **changes})
        with durable.translate_write_errors(self.path):
            (self.path / "summary.json").unlink(missing_ok=True)
            durable.sync(self.path)
            durable.write(self.path / "config.json", seal(config.record()))
        self.config = config

    def record(self, kind: str, *rows: Mapping[str, Any]) -> None:
        """Appends records of one kind, one line each, and returns once they are on the disk."""
        lines = encode_lines(rows)
        with durable.translate_write_errors(self.path):
            durable.append(self.path / f"{kind}.jsonl", lines)
        self._rows[kind] += len(rows)
        self._checksums[kind] = crc32(lines, self._checksums[kind])

    def rows(self, kind: str) -> list[Record]:
        """Returns all records of one kind, oldest first; empty if there are none."""
        return read_rows(self.path, kind)

    def save_checkpoint(self, step: int, save: Callable[[Path], None], *, best: int) -> None:
        """Completes a step, so that the run resumes after it, and removes all other checkpoints but the best one.

        Args:
            best: the best step so far: this one, or the best one of the checkpoint before.
            save: creates the directory that it is given and writes the trainer's state into it.
        """
        final = step_folder(self.path, step)
        folder, partial = final.parent, final.with_name(durable.PARTIAL)
        with durable.translate_write_errors(self.path):
            durable.remove_partial(folder)
            partial.mkdir(parents=True)
            trainer = partial / "trainer"
            save(trainer)
            files = sorted(file for file in trainer.rglob("*") if file.is_file())
            progress: dict[str, Any] = {
                "step": step,
                "best": best,
                "rows": {kind: self._rows[kind] for kind in KINDS},
                "checksums": {kind: self._checksums[kind] for kind in CHECKED},
                "files": {file.relative_to(trainer).as_posix(): file_checksum(file) for file in files},
            }
            for entry in (*trainer.rglob("*"), trainer):
                durable.sync(entry)
            durable.write(partial / "progress.json", seal(progress))
            partial.rename(final)
            durable.sync(folder)
            self._remove_all_but(step, best)
        self.checkpoint = Checkpoint(step, best, final / "trainer", progress["rows"], progress["checksums"])

    def _remove_all_but(self, *steps: int) -> None:
        """Removes the checkpoints of all other steps, partial ones included."""
        kept = {step_folder(self.path, step) for step in steps}
        for folder in step_folders(self.path):
            if folder not in kept:
                durable.discard(folder)
        durable.remove_partial(self.path / "checkpoints")

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes summary.json, which marks the run as finished."""
        with durable.translate_write_errors(self.path):
            durable.write(self.path / "summary.json", seal(summary))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.release()


def require_empty(path: Path) -> None:
    """Checks, without changing anything, that a run can be created in a directory.

    Raises:
        RunError: the directory is not empty, or cannot be written.
    """
    with durable.translate_write_errors(path):
        ours = {path / durable.LOCK, *durable.partials(path)}
        names = sorted(entry.name for entry in {*path.iterdir()} - ours) if path.exists() else []
        existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if names:
        content = "a run" if "config.json" in names else repr(names[0])
        raise RunError(f"{path} already holds {content}; choose another --out, or --resume the run that is there")
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise RunError(f"cannot write {path}: {existing} is not a directory that you may write; choose another --out")
