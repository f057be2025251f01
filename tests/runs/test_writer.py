"""Creating a run and writing to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hero.errors import RunError
from hero.runs.reader import (
    latest_checkpoint,
    read_rows,
    read_settings,
)
from hero.runs.writer import Run
from tests.platforms import NEEDS_OPEN_FILES
from tests.runs.steps import IN_PLACE, SETTINGS, contents, play, trainer


def steps(path: Path) -> list[str]:
    return sorted(entry.name for entry in (path / "checkpoints").iterdir())


def test_only_the_newest_and_the_best_checkpoint_are_kept(path: Path) -> None:
    assert steps(path) == ["step-000003"]
    with Run.resume(path) as run:
        play(run, 4, 5, best=3)
        assert steps(path) == ["step-000003", "step-000005"]
        play(run, 6, 6)
    assert steps(path) == ["step-000006"]


def test_a_checkpoint_that_fails_leaves_the_one_before(path: Path) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise OSError(28, "No space left on device")

    with Run.resume(path) as run, pytest.raises(RunError, match="No space left on device"):
        run.save_checkpoint(4, fail, best=4)
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 3


def test_a_run_is_not_overwritten(path: Path) -> None:
    before = contents(path)
    with pytest.raises(RunError, match="already holds a run; choose another --out, or --resume"):
        Run.create(path, SETTINGS)
    assert contents(path) == before


def test_a_directory_with_anything_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match=r"already holds 'thesis\.tex'"):
        Run.create(tmp_path, SETTINGS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_creation_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json-1.partial").write_text('{"sch')
    with Run.create(tmp_path, SETTINGS):
        assert read_settings(tmp_path) == SETTINGS


@pytest.mark.parametrize("what", ["a pipe", "a device", "a link to itself", "a directory"])
def test_whatever_lies_in_place_of_what_is_not_complete_gives_way(tmp_path: Path, what: str) -> None:
    IN_PLACE[what](tmp_path / ".partial")
    with Run.create(tmp_path, SETTINGS):
        assert read_settings(tmp_path) == SETTINGS
    assert not os.path.lexists(tmp_path / ".partial")


def test_a_directory_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run directory: it has no config\.json"):
        Run.resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*run: .*file is not a directory that"):
        Run.create(tmp_path / "file" / "run", SETTINGS)


def test_the_provenance_is_kept(tmp_path: Path) -> None:
    provenance = {"data": "/data", "model": {"hash": "abc"}}
    with Run.create(tmp_path, SETTINGS, provenance):
        pass
    with Run.resume(tmp_path) as run:
        assert run.config.provenance == provenance


def test_a_system_that_opens_no_directories_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opens = os.open

    def no_directories(path: Path, flags: int, *rest: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied")
        return opens(path, flags, *rest)

    monkeypatch.setattr(os, "open", no_directories)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)
    with Run.create(tmp_path / "run", SETTINGS) as run:
        play(run, 0, 1)
    assert len(read_rows(tmp_path / "run", "steps")) == 4


def test_a_record_survives_the_sudden_death_of_its_writer(tmp_path: Path) -> None:
    code = f"""
        import os
        from pathlib import Path
        from hero.runs.writer import Run
        run = Run.create(Path({str(tmp_path / "run")!r}), {{}})
        run.record("steps", {{"step": 0}})
        os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 9
    assert read_rows(tmp_path / "run", "steps") == [{"step": 0}]


@NEEDS_OPEN_FILES
def test_records_and_checkpoints_are_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[Path] = set()
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        synced.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    path = tmp_path.resolve() / "run"
    with Run.create(path, SETTINGS) as run:
        assert path in synced
        synced.clear()
        run.record("steps", {"step": 0})
        run.save_checkpoint(0, trainer("x"), best=0)
    partial = path / "checkpoints" / ".partial"
    assert {path / "steps.jsonl", path / "checkpoints", partial, partial / "trainer" / "weights"} <= synced
