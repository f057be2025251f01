"""Reading a run directory: equal to what was written, or refused by the name of a file."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.errors import RunError
from hero.runs import reader
from hero.runs.reader import (
    CHECKED,
    KINDS,
    Checkpoint,
    Episode,
    check_rows,
    is_run_dir,
    latest_checkpoint,
    read_checkpoint,
    read_config,
    read_episodes,
    read_rows,
    read_settings,
    read_summary,
)
from hero.runs.sealed import file_checksum
from hero.runs.writer import Run
from hero.testing.strategies import diagnoses, json_values, trajectories
from hero.types import Diagnosis, Trajectory
from tests.runs.steps import IN_PLACE, SETTINGS, play


def test_a_run_is_read_as_it_was_written(path: Path) -> None:
    assert read_settings(path) == SETTINGS
    assert [row["step"] for row in read_rows(path, "steps")] == [0, 0, 1, 1, 2, 2, 3, 3]
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 3
    assert (checkpoint.trainer / "weights").read_text() == "after 3"


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


def test_another_schema_is_refused(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"schema": 99, "version": "7.1"}))
    with pytest.raises(RunError, match=r"has schema 99 and this version reads 6; use hero-agents 7\.1"):
        Run.resume(path)
    (path / "config.json").write_text(json.dumps(config | {"schema": 2}))
    with pytest.raises(RunError, match="this version reads 6; use hero-agents of an earlier commit, or start another"):
        Run.resume(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 2'])
def test_a_damaged_config_is_refused_by_name(path: Path, text: str) -> None:
    (path / "config.json").write_text(text)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
        Run.resume(path)


def test_a_damaged_record_is_named_by_its_line(path: Path) -> None:
    file = path / "steps.jsonl"
    file.write_bytes(file.read_bytes().replace(b'{"step":2,"row":0}', b'{"step":2,"row":'))
    with pytest.raises(RunError, match=r"steps\.jsonl, line 5 is damaged"):
        read_rows(path, "steps")


@given(trajectories(), diagnoses(), st.data())
def test_any_value_in_an_episode_s_record_can_be_another_one(
    tmp_path_factory: pytest.TempPathFactory, trajectory: Trajectory, diagnosis: Diagnosis, data: st.DataObject
) -> None:
    record = json.loads(json.dumps(Episode(1, trajectory, diagnosis).record()))
    slots = [(record, key) for key in record]
    for holder, key in slots:
        inner = holder[key]
        if isinstance(inner, dict | list):
            slots += [(inner, name) for name in (inner if isinstance(inner, dict) else range(len(inner)))]
    holder, key = data.draw(st.sampled_from(slots))
    holder[key] = data.draw(json_values)
    path = tmp_path_factory.mktemp("run")
    (path / "episodes.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    with contextlib.suppress(RunError):
        list(read_episodes(path))


def test_a_record_that_is_not_an_episode_is_named_by_its_line(path: Path) -> None:
    with pytest.raises(RunError, match=r"episodes\.jsonl, line 1 is not an episode: KeyError"):
        list(read_episodes(path))


def test_a_damaged_checkpoint_is_refused_by_name(path: Path) -> None:
    (path / "checkpoints" / "step-000003" / "progress.json").unlink()
    with pytest.raises(RunError, match=r"step-000003 is damaged \(it has no progress\.json\)"):
        Run.resume(path)


def damaged(path: Path, read: Callable[[], object], bits: Iterable[int]) -> None:
    """Flips single bits of a file, one after another, and checks that each time the file is refused by name."""
    whole = path.read_bytes()
    for bit in bits:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(RunError, match=re.escape(path.name)):
            read()
    path.write_bytes(whole)
    read()


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "summary.json",
        "checkpoints/step-000003/progress.json",
        "checkpoints/step-000003/trainer/weights",
        "checkpoints/step-000003/trainer/more/state",
    ],
)
def test_every_bit_counts(path: Path, name: str) -> None:
    with Run.resume(path) as run:
        run.write_summary({"steps": 3, "gain": 0.25, "low": None})
    readers = {"config.json": read_config, "summary.json": read_summary}
    damaged(
        path / name, lambda: readers.get(name, latest_checkpoint)(path), range(0, 8 * (path / name).stat().st_size, 3)
    )


@pytest.mark.parametrize("what", IN_PLACE)
@pytest.mark.parametrize(
    "name",
    ["config.json", "steps.jsonl", "timings.jsonl", "checkpoints/step-000003/progress.json",
     "checkpoints/step-000003/trainer/weights"],
)  # fmt: skip
def test_whatever_lies_in_place_of_a_file_is_refused_by_name(path: Path, name: str, what: str) -> None:
    (path / name).unlink()
    IN_PLACE[what](path / name)
    with pytest.raises(RunError, match=re.escape(Path(name).name)):
        Run.resume(path)
    assert is_run_dir(path)


@pytest.mark.parametrize("what", IN_PLACE)
def test_whatever_lies_in_place_of_a_model_s_config_is_not_a_run(tmp_path: Path, what: str) -> None:
    IN_PLACE[what](tmp_path / "config.json")
    assert is_run_dir(tmp_path) == (what == "not a number")


def test_a_step_that_is_replaced_while_it_is_read_gives_way_to_the_newer_one(path: Path) -> None:
    with Run.resume(path) as run:
        seen: list[int] = []

        def read(checkpoint: Checkpoint) -> str:
            seen.append(checkpoint.step)
            if checkpoint.step == 3:
                play(run, 4, 4)
            return (checkpoint.trainer / "weights").read_text()

        assert read_checkpoint(path, "newest", read) == "after 4"
    assert seen == [3, 4]


def test_a_step_that_vanishes_before_it_is_read_gives_way_to_the_newer_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run.resume(path) as run:

        def replaced(file: Path) -> int:
            monkeypatch.undo()
            play(run, 4, 4)
            return file_checksum(file)

        monkeypatch.setattr("hero.runs.reader.file_checksum", replaced)
        checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 4


def text(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.step} {(checkpoint.trainer / 'weights').read_text()}"


def test_the_newest_and_the_best_checkpoint_are_read(path: Path) -> None:
    with Run.resume(path) as run:
        play(run, 4, 5, best=3)
    assert read_checkpoint(path, "newest", text) == "5 after 5"
    assert read_checkpoint(path, "best", text) == "3 after 3"


def test_the_best_step_may_be_replaced_by_a_better_one_while_it_is_read(path: Path) -> None:
    with Run.resume(path) as run:
        play(run, 4, 5, best=3)
        seen: list[int] = []

        def read(checkpoint: Checkpoint) -> str:
            seen.append(checkpoint.step)
            if checkpoint.step == 3:
                play(run, 6, 6)
            return text(checkpoint)

        assert read_checkpoint(path, "best", read) == "6 after 6"
    assert seen == [3, 6]


def test_a_best_checkpoint_that_is_gone_is_refused_by_name(path: Path) -> None:
    with Run.resume(path) as run:
        play(run, 4, 5, best=3)
    shutil.rmtree(path / "checkpoints" / "step-000003")
    for read in (lambda: read_checkpoint(path, "best", text), lambda: Run.resume(path)):
        with pytest.raises(RunError, match=r"step-000003 is damaged"):
            read()
    assert read_checkpoint(path, "newest", text) == "5 after 5"


def test_every_record_but_wall_clock_times_has_a_checksum() -> None:
    assert {*KINDS} - {*CHECKED} == {"timings"}


def test_records_are_checked_against_the_checkpoint_that_replaces_the_one_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run.create(tmp_path / "run", SETTINGS) as run:
        play(run, 1, 1)
        read = reader._read_progress

        def replaced_first(folder: Path) -> Any:
            monkeypatch.setattr(reader, "_read_progress", read)
            play(run, 2, 2)
            return read(folder)

        monkeypatch.setattr(reader, "_read_progress", replaced_first)
        check_rows(run.path, "episodes")
    (run.path / "episodes.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"episodes\.jsonl is damaged"):
        check_rows(run.path, "episodes")
