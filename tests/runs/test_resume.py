"""Resuming a run: what is kept, what is cut off and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hero.errors import RunError
from hero.runs.reader import (
    KINDS,
    read_rows,
    read_settings,
)
from hero.runs.writer import Run
from tests.runs.steps import SETTINGS, contents, play


@pytest.mark.parametrize("torn", [b"", b'{"step": 4, "row": 0}\n', b'{"step": 4, "row": 0}\n{"st', b"{", b"\0\0\0"])
def test_records_after_the_newest_checkpoint_are_cut_off(path: Path, torn: bytes) -> None:
    before = contents(path)
    for kind in KINDS:
        with (path / f"{kind}.jsonl").open("ab") as file:
            file.write(torn)
    (path / "checkpoints" / ".partial").mkdir()
    (path / "checkpoints" / ".partial" / "weights").write_text("half")
    with Run.resume(path) as run:
        assert contents(path) | {"checkpoints/.partial/weights": b""} == before | {"checkpoints/.partial/weights": b""}
        play(run, 4, 4)
    assert [row["step"] for row in read_rows(path, "evals")][-3:] == [3, 4, 4]
    assert [entry.name for entry in (path / "checkpoints").iterdir()] == ["step-000004"]


def test_a_run_without_a_checkpoint_starts_over(tmp_path: Path) -> None:
    with Run.create(tmp_path, SETTINGS) as run:
        run.record("evals", {"step": 0})
    with Run.resume(tmp_path) as run:
        assert run.checkpoint is None
        assert run.rows("evals") == []


def test_missing_records_of_complete_steps_are_refused(path: Path) -> None:
    file = path / "steps.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:5]) + b'{"step": 2')
    before = file.read_bytes()
    with pytest.raises(RunError, match=r"steps\.jsonl holds 5 of the 8 records"):
        Run.resume(path)
    assert file.read_bytes() == before


@pytest.mark.parametrize("kind", ["episodes", "steps", "evals", "timings"])
def test_a_run_without_one_of_its_files_is_refused_and_stays_without(path: Path, kind: str) -> None:
    file = path / f"{kind}.jsonl"
    file.unlink()
    with pytest.raises(RunError, match=rf"cannot read .*{kind}\.jsonl"):
        Run.resume(path)
    assert not file.exists()


def test_damage_is_refused_before_anything_is_cut(path: Path) -> None:
    (path / "checkpoints" / "step-000003" / "trainer" / "weights").write_text("after 4")
    before = contents(path)
    with pytest.raises(RunError, match=r"weights is damaged"):
        Run.resume(path)
    assert contents(path) == before


def test_foreign_files_in_checkpoints_are_left_alone(path: Path) -> None:
    folder = path / "checkpoints"
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / "step-000003" / ".DS_Store").write_bytes(b"Bud1")
    (folder / "step-000099").write_text("a file")
    (folder / "step-000003 copy").mkdir()
    with Run.resume(path) as run:
        play(run, 4, 5)
    assert {entry.name for entry in folder.iterdir()} == {".DS_Store", "step-000099", "step-000003 copy", "step-000005"}


def test_remains_of_older_steps_after_a_sudden_death_are_removed(path: Path) -> None:
    folder = path / "checkpoints"
    shutil.copytree(folder / "step-000003", folder / "step-000002")
    (folder / "step-000002" / "progress.json").unlink()
    (folder / ".partial").mkdir()
    (path / ".partial").write_text("{")
    with Run.resume(path):
        assert [entry.name for entry in folder.iterdir()] == ["step-000003"]
        assert not (path / ".partial").exists()


def test_the_best_step_survives_a_sudden_death_and_what_is_left_of_others_is_removed(path: Path) -> None:
    folder = path / "checkpoints"
    with Run.resume(path) as run:
        play(run, 4, 5, best=3)
    shutil.copytree(folder / "step-000005", folder / "step-000004")
    with Run.resume(path) as run:
        assert run.checkpoint is not None
        assert (run.checkpoint.step, run.checkpoint.best) == (5, 3)
        assert {entry.name for entry in folder.iterdir()} == {"step-000003", "step-000005"}
        play(run, 6, 6, best=3)
    assert (folder / "step-000003" / "trainer" / "weights").read_text() == "after 3"


def test_damage_to_the_best_step_is_refused_before_anything_is_cut(path: Path) -> None:
    with Run.resume(path) as run:
        play(run, 4, 4, best=3)
    (path / "checkpoints" / "step-000003" / "trainer" / "weights").write_text("after 9")
    before = contents(path)
    with pytest.raises(RunError, match=r"step-000003.*weights is damaged"):
        Run.resume(path)
    assert contents(path) == before


def test_a_run_can_be_given_more_to_do(path: Path) -> None:
    with Run.resume(path) as run:
        run.write_summary({"steps": 3})
        run.extend({"seed": 4})
        assert run.settings == SETTINGS | {"seed": 4}
    assert read_settings(path) == SETTINGS | {"seed": 4}
    assert not (path / "summary.json").exists()


@pytest.mark.parametrize("kind", ["episodes", "steps"])
def test_records_whose_checkpoint_is_gone_are_kept(path: Path, kind: str) -> None:
    shutil.rmtree(path / "checkpoints")
    for other in {"episodes", "steps"} - {kind}:
        (path / f"{other}.jsonl").unlink()
    before = contents(path)
    with pytest.raises(RunError, match=rf"has {kind}\.jsonl but no checkpoint; restore checkpoints/ from a copy"):
        Run.resume(path)
    assert contents(path) == before


@pytest.mark.parametrize("kind", ["episodes", "steps", "evals"])
def test_changed_records_of_complete_steps_are_refused(path: Path, kind: str) -> None:
    file = path / f"{kind}.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"step":1', b'"step":7'))
    before = contents(path)
    with pytest.raises(RunError, match=rf"{kind}\.jsonl was changed after it was written"):
        Run.resume(path)
    assert contents(path) == before
