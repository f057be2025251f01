"""A run survives sudden death at every single operation on the file system, one after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from hero.errors import RunError
from hero.runs import durable
from hero.runs.reader import KINDS
from hero.runs.writer import Run

OPERATIONS = {
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.listdir", "os.scandir",
    "shutil.rmtree",
}  # fmt: skip


class Death(BaseException):
    """Stands for a kill -9."""


class Mortal:
    """Counts the operations below a path, and dies at a chosen one and at all that come after it.

    An audit hook stays for good, so there is but one.
    """

    def __init__(self) -> None:
        self.path: str | None = None
        self.left = 0
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.path is not None and event in OPERATIONS and self.below(arguments):
            self.age()

    def below(self, arguments: tuple[Any, ...]) -> bool:
        return any(isinstance(value, str | Path) and str(value).startswith(self.path or "") for value in arguments)

    def age(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Death

    @contextmanager
    def dies_at(self, operation: int, path: Path) -> Iterator[None]:
        self.path, self.left = str(path), operation
        try:
            yield
        finally:
            self.path = None


@pytest.fixture(scope="module")
def mortal() -> Mortal:
    return Mortal()


@pytest.mark.parametrize("other", ["page.html", "rows.jsonl"])
def test_files_that_two_processes_write_into_one_folder_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    fsync = os.fsync

    def meanwhile(descriptor: int) -> None:
        fsync(descriptor)
        monkeypatch.undo()
        monkeypatch.setattr(os, "getpid", lambda: 1)
        durable.write(tmp_path / other, b"theirs")

    monkeypatch.setattr(os, "fsync", meanwhile)
    durable.write(tmp_path / "page.html", b"ours")
    assert everything(tmp_path) == {other: b"theirs"} | {"page.html": b"ours"}


def test_files_of_others_that_are_not_complete_stay(tmp_path: Path) -> None:
    names = [".movie.mp4.partial", ".impartial", "page-1.partial", ".page.html-1.part"]
    for name in names:
        (tmp_path / name).touch()
    for name in (".partial", ".page.html-17.partial"):
        (tmp_path / name).touch()
    durable.remove_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names}
    with pytest.raises(RunError, match="already holds"):
        Run.create(tmp_path, {})


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        durable.write(tmp_path / "page.html", b"ours")
    assert not [*tmp_path.iterdir()]


def train(path: Path, steps: int) -> None:
    """Goes on with the run in a directory, or starts one, and finishes it; a longer one starts by being extended."""
    started = (path / "config.json").exists()
    with Run.resume(path) if started else Run.create(path, {"steps": 2}) as run:
        if run.settings["steps"] < steps:
            run.extend({"steps": steps})
        for step in range(run.checkpoint.step + 1 if run.checkpoint else 0, steps + 1):
            for kind in KINDS if step else ("evals", "timings"):
                run.record(kind, {"step": step})

            def save(trainer: Path, step: int = step) -> None:
                (trainer / "more").mkdir(parents=True)
                (trainer / "weights").write_text(f"after {step}", "utf-8")
                (trainer / "more" / "state").write_text("s", "utf-8")

            run.save_checkpoint(step, save, best=step)
        run.write_summary({"steps": steps})


def everything(path: Path) -> dict[str, bytes | None]:
    """Returns the content of every file, and None for every directory."""
    return {str(entry.relative_to(path)): entry.read_bytes() if entry.is_file() else None for entry in path.rglob("*")}


@pytest.mark.parametrize("extended", [False, True])
def test_a_run_that_dies_at_any_operation_ends_as_if_it_had_not(
    mortal: Mortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extended: bool
) -> None:
    def noted(descriptor: int) -> None:
        if mortal.path is not None:
            mortal.age()

    monkeypatch.setattr(os, "fsync", noted)
    first, steps = (2, 3) if extended else (0, 2)
    train(tmp_path / "whole", 2)
    train(tmp_path / "whole", steps)
    deaths = 0
    while True:
        path = tmp_path / f"run{deaths}"
        if first:
            train(path, first)
        try:
            with mortal.dies_at(deaths, path):
                train(path, steps)
            break
        except Death:
            deaths += 1
        train(path, steps)
        assert everything(path) == everything(tmp_path / "whole"), f"after a death at operation {deaths}"
    assert deaths > 60
