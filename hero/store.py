"""The run directory: what a training run leaves behind, written so that nothing but the step in flight can be lost.

    config.json      schema number, version and all settings: enough to start the same run again
    episodes.jsonl   every training episode with its diagnosis
    steps.jsonl      the metrics of every step
    evals.jsonl      every evaluation, with the outcome of every task
    timings.jsonl    all wall-clock numbers; equal runs differ in this file alone
    checkpoints/     step-NNNNNN: the learner's state and how many records belong to it; only the newest is kept
    summary.json     the run in a few numbers, once it is finished

A step is complete when its checkpoint was renamed into place. Resuming cuts off every record after that.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from zlib import crc32

from hero import __version__
from hero.codec import Record
from hero.errors import RunError
from hero.records import CHECKED, KINDS, SCHEMA, Checkpoint, latest_checkpoint, read_rows, read_settings

_LOCK: Final = ".lock"
_PARTIAL: Final = ".partial"


class Run:
    """A run directory that this process writes to, and no other: `create` or `resume` one, best in a `with` block.

    Attributes:
        settings: what the run was created with.
        checkpoint: the newest complete step; None before the first.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], lock: BinaryIO) -> None:
        self.path = path
        self.settings = settings
        self.checkpoint = latest_checkpoint(path)
        self._lock = lock
        self._rows = Counter(self.checkpoint.rows if self.checkpoint else {})
        self._checksums = Counter(self.checkpoint.checksums if self.checkpoint else {})
        for kind in KINDS:
            _cut(path / f"{kind}.jsonl", self._rows[kind], self._checksums[kind] if kind in CHECKED else None)
        _sync(path)

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """Starts a run in a new or empty directory.

        Args:
            settings: plain JSON; `resume` compares with it.

        Raises:
            RunError: the directory holds something, cannot be written, or another process is at it.
        """
        refuse_held(path)
        with _writing(path), ExitStack() as stack:
            path.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(_locked(path))
            _write(path / "config.json", {"schema": SCHEMA, "version": __version__, "settings": dict(settings)})
            run = cls(path, settings, lock)
            stack.pop_all()
        return run

    @classmethod
    def resume(cls, path: Path, given: Mapping[str, Any]) -> Self:
        """Takes a run up after its newest complete step, and cuts off whatever was recorded later.

        Args:
            given: settings that must be as they were; those that are left out are not compared.

        Raises:
            RunError: no run is there, a setting differs, the schema is unknown, a record that belongs to a complete
                step is missing or was changed, or another process is at it.
        """
        settings = read_settings(path)
        for name, value in given.items():
            if settings.get(name) != value:
                was = json.dumps(settings.get(name))
                raise RunError(
                    f"{path} was started with {name} = {was}, not {json.dumps(value)}; "
                    "resume without that option, or start another run with another --out"
                )
        with _writing(path), ExitStack() as stack:
            run = cls(path, settings, stack.enter_context(_locked(path)))
            stack.pop_all()
        return run

    def record(self, kind: str, *rows: Mapping[str, Any]) -> None:
        """Appends records of one kind, one line each; they are on the disk when this returns."""
        lines = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
        with _writing(self.path), (self.path / f"{kind}.jsonl").open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._rows[kind] += len(rows)
        self._checksums[kind] = crc32(lines, self._checksums[kind])

    def rows(self, kind: str) -> list[Record]:
        """All records of one kind, oldest first; empty if there are none."""
        return read_rows(self.path, kind)

    def complete(self, step: int, save: Callable[[Path], None]) -> None:
        """Completes a step: from here on the run resumes after it, and older checkpoints are gone.

        Args:
            save: writes the learner's state into the new directory that it is given.
        """
        folder = self.path / "checkpoints"
        partial, final = folder / _PARTIAL, folder / f"step-{step:06d}"
        with _writing(self.path):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save(partial / "learner")
            rows, checksums = (
                {kind: counted[kind] for kind in kinds}
                for counted, kinds in ((self._rows, KINDS), (self._checksums, CHECKED))
            )
            _write(partial / "progress.json", {"step": step, "rows": rows, "checksums": checksums})
            for written in (*partial.rglob("*"), partial):
                _sync(written)
            partial.rename(final)
            _sync(folder)
            for old in folder.iterdir():
                if old != final:
                    shutil.rmtree(old)
        self.checkpoint = Checkpoint(step, final / "learner", rows, checksums)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Writes summary.json, which says that the run is finished."""
        with _writing(self.path):
            _write(self.path / "summary.json", summary)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.close()


def refuse_held(path: Path) -> None:
    """Says in time that a run cannot be created there; changes nothing.

    Raises:
        RunError: the directory holds something, or nothing can be written there.
    """
    with _writing(path):
        held = sorted({entry.name for entry in path.iterdir()} - {_LOCK, _PARTIAL}) if path.exists() else []
        there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if held:
        what = "a run" if "config.json" in held else f"{held[0]!r}"
        raise RunError(f"{path} already holds {what}; choose another --out, or --resume the run that is there")
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise RunError(f"cannot write {path}: {there} is not a directory that you may write; choose another --out")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals into our error."""
    try:
        yield
    except OSError as error:
        # A learner's own writer may know no number.
        full = error.errno in (None, errno.ENOSPC, errno.EDQUOT)
        remedy = "make room, or choose another --out" if full else "choose another --out"
        raise RunError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def _locked(path: Path) -> BinaryIO:
    """An open file that keeps other processes out until it is closed, by this process or by its end."""
    lock = (path / _LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise RunError(f"another process is writing {path}; wait until it ends, or choose another --out") from None
    return lock


def _write(file: Path, record: Mapping[str, Any]) -> None:
    """Writes a file that is either there in full or not at all."""
    partial = file.with_name(_PARTIAL)
    with partial.open("w") as opened:
        json.dump(record, opened, indent=1)
        opened.write("\n")
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    """Brings a file or a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cut(file: Path, rows: int, checksum: int | None) -> None:
    """Keeps the first `rows` lines of a file and drops the rest, a torn last line included.

    Args:
        checksum: CRC-32 of those lines; None to take them as they are.
    """
    with file.open("a+b") as opened:
        opened.seek(0)
        whole = found = 0
        for _ in range(rows):
            line = opened.readline()
            whole += line.endswith(b"\n")
            found = crc32(line, found)
        remedy = "restore it from a copy, or start another run with another --out"
        if whole < rows:
            raise RunError(f"{file} holds {whole} of the {rows} records that belong to complete steps; {remedy}")
        if checksum is not None and found != checksum:
            raise RunError(f"{file} was changed after it was written: its checksum differs; {remedy}")
        opened.truncate(opened.tell())
        os.fsync(opened.fileno())
