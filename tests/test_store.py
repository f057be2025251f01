"""The run directory: what survives, what is cut off and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.errors import RunError
from hero.records import KINDS, Episode, latest_checkpoint, read_episodes, read_rows, read_settings
from hero.store import Run
from hero.types import Diagnosis, Trajectory
from tests.strategies import diagnoses, trajectories

SETTINGS = {"env": "webshop", "seed": 3, "env_args": {"level": "easy"}}


def learner(text: str):  # type: ignore[no-untyped-def]
    """A learner's `save` that leaves one file."""

    def save(path: Path) -> None:
        path.mkdir()
        (path / "weights").write_text(text)

    return save


def play(run: Run, first: int, last: int) -> None:
    """Some steps with a record of every kind."""
    for step in range(first, last + 1):
        for kind in KINDS:
            run.record(kind, *({"step": step, "row": row} for row in range(2)))
        run.complete(step, learner(f"after {step}"))


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run of three complete steps, let go."""
    path = tmp_path / "run"
    with Run.create(path, SETTINGS) as run:
        play(run, 0, 3)
    return path


def test_a_run_is_read_as_it_was_written(path: Path) -> None:
    assert read_settings(path) == SETTINGS
    assert [row["step"] for row in read_rows(path, "steps")] == [0, 0, 1, 1, 2, 2, 3, 3]
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 3
    assert (checkpoint.learner / "weights").read_text() == "after 3"


def test_only_the_newest_checkpoint_is_kept(path: Path) -> None:
    assert [entry.name for entry in (path / "checkpoints").iterdir()] == ["step-000003"]


@settings(max_examples=30)
@given(st.lists(st.tuples(trajectories(), diagnoses()), max_size=2))
def test_episodes_come_back_equal(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Trajectory, Diagnosis]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / "run"
    episodes = [Episode(step, *pair) for step, pair in enumerate(pairs)]
    with Run.create(path, {}) as run:
        run.record("episodes", *(episode.record() for episode in episodes))
    assert list(read_episodes(path)) == episodes


@pytest.mark.parametrize("torn", [b"", b'{"step": 4, "row": 0}\n', b'{"step": 4, "row": 0}\n{"st', b"{", b"\0\0\0"])
def test_what_came_after_the_newest_checkpoint_is_cut_off(path: Path, torn: bytes) -> None:
    before = contents(path)
    for kind in KINDS:
        with (path / f"{kind}.jsonl").open("ab") as file:
            file.write(torn)
    (path / "checkpoints" / ".partial").mkdir()
    (path / "checkpoints" / ".partial" / "weights").write_text("half")
    with Run.resume(path, {}) as run:
        assert contents(path) | {"checkpoints/.partial/weights": b""} == before | {"checkpoints/.partial/weights": b""}
        play(run, 4, 4)
    assert [row["step"] for row in read_rows(path, "evals")][-3:] == [3, 4, 4]
    assert [entry.name for entry in (path / "checkpoints").iterdir()] == ["step-000004"]


def test_a_run_without_a_checkpoint_starts_over(tmp_path: Path) -> None:
    with Run.create(tmp_path, SETTINGS) as run:
        run.record("evals", {"step": 0})
    with Run.resume(tmp_path, {}) as run:
        assert run.checkpoint is None
        assert run.rows("evals") == []


def test_a_checkpoint_that_fails_leaves_the_one_before(path: Path) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise OSError(28, "No space left on device")

    with Run.resume(path, {}) as run, pytest.raises(RunError, match="No space left on device"):
        run.complete(4, fail)
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 3


def test_nothing_is_overwritten(path: Path) -> None:
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
    (tmp_path / ".partial").write_text('{"sch')
    with Run.create(tmp_path, SETTINGS):
        assert read_settings(tmp_path) == SETTINGS


def test_a_directory_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run directory: it has no config\.json"):
        Run.resume(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*run: .*file is not a directory that"):
        Run.create(tmp_path / "file" / "run", SETTINGS)


def test_another_schema_is_refused(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"schema": 99, "version": "7.1"}))
    with pytest.raises(RunError, match=r"has schema 99 and this version reads 2; use hero-agents 7\.1"):
        Run.resume(path, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 2'])
def test_a_damaged_config_is_refused_by_name(path: Path, text: str) -> None:
    (path / "config.json").write_text(text)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        Run.resume(path, {})


@pytest.mark.parametrize("settings", [None, [], "x"])
def test_a_config_without_settings_is_refused_by_name(path: Path, settings: object) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"settings": settings}))
    with pytest.raises(RunError, match=r"config\.json is damaged \(its settings are"):
        Run.resume(path, {})


def test_a_changed_setting_is_refused_with_both_values(path: Path) -> None:
    with pytest.raises(RunError, match="was started with seed = 3, not 4; resume without that option"):
        Run.resume(path, {"seed": 4})
    with Run.resume(path, {"seed": 3}) as run:
        assert run.settings == SETTINGS


def test_missing_records_of_complete_steps_are_refused(path: Path) -> None:
    file = path / "steps.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:5]) + b'{"step": 2')
    before = file.read_bytes()
    with pytest.raises(RunError, match=r"steps\.jsonl holds 5 of the 8 records"):
        Run.resume(path, {})
    assert file.read_bytes() == before


def test_a_damaged_record_is_named_by_its_line(path: Path) -> None:
    file = path / "steps.jsonl"
    file.write_bytes(file.read_bytes().replace(b'{"step":2,"row":0}', b'{"step":2,"row":'))
    with pytest.raises(RunError, match=r"steps\.jsonl, line 5 is damaged"):
        read_rows(path, "steps")


def test_a_record_that_is_no_episode_is_named_by_its_line(path: Path) -> None:
    with pytest.raises(RunError, match=r"episodes\.jsonl, line 1 is not an episode: KeyError"):
        list(read_episodes(path))


def test_a_damaged_checkpoint_is_refused_by_name(path: Path) -> None:
    (path / "checkpoints" / "step-000003" / "progress.json").unlink()
    with pytest.raises(RunError, match=r"step-000003 is damaged \(it has no progress\.json\)"):
        Run.resume(path, {})


@pytest.mark.parametrize(
    "damage",
    [
        {"step": None},
        {"step": -1},
        {"step": True},
        {"rows": []},
        {"rows": {}},
        {"rows": "8"},
        {"rows": dict.fromkeys(KINDS, 8.0)},
        {"checksums": {}},
        {"checksums": None},
    ],
)
def test_damaged_progress_is_refused_before_anything_is_cut(path: Path, damage: dict[str, object]) -> None:
    progress = path / "checkpoints" / "step-000003" / "progress.json"
    progress.write_text(json.dumps(json.loads(progress.read_text()) | damage))
    before = contents(path)
    with pytest.raises(RunError, match=r"progress\.json is damaged"):
        Run.resume(path, {})
    assert contents(path) == before


@pytest.mark.parametrize("kind", ["episodes", "steps"])
def test_records_whose_checkpoint_is_gone_are_kept(path: Path, kind: str) -> None:
    shutil.rmtree(path / "checkpoints")
    for other in {"episodes", "steps"} - {kind}:
        (path / f"{other}.jsonl").unlink()
    before = contents(path)
    with pytest.raises(RunError, match=rf"has {kind}\.jsonl but no checkpoint; restore checkpoints/ from a copy"):
        Run.resume(path, {})
    assert contents(path) == before


@pytest.mark.parametrize("kind", ["episodes", "steps", "evals"])
def test_changed_records_of_complete_steps_are_refused(path: Path, kind: str) -> None:
    file = path / f"{kind}.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"step":1', b'"step":7'))
    before = contents(path)
    with pytest.raises(RunError, match=rf"{kind}\.jsonl was changed after it was written"):
        Run.resume(path, {})
    assert contents(path) == before


def test_a_second_process_is_kept_out_until_the_first_lets_go(path: Path) -> None:
    code = f"from pathlib import Path; from hero.store import Run; Run.resume(Path({str(path)!r}), {{}})"

    def resume() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    with Run.resume(path, {}):
        assert f"another process is writing {path}" in resume().stderr
    assert resume().returncode == 0


def test_a_record_survives_the_sudden_death_of_its_writer(tmp_path: Path) -> None:
    code = f"""
        import os
        from pathlib import Path
        from hero.store import Run
        run = Run.create(Path({str(tmp_path / "run")!r}), {{}})
        run.record("steps", {{"step": 0}})
        os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 9
    assert read_rows(tmp_path / "run", "steps") == [{"step": 0}]


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
        run.complete(0, learner("x"))
    partial = path / "checkpoints" / ".partial"
    assert {path / "steps.jsonl", path / "checkpoints", partial, partial / "learner" / "weights"} <= synced
