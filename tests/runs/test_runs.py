"""The run directory: what survives, what is cut off and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.errors import RunError
from hero.runs.reader import (
    KINDS,
    Checkpoint,
    Episode,
    is_run_dir,
    latest_checkpoint,
    read_config,
    read_episodes,
    read_latest,
    read_rows,
    read_settings,
    read_summary,
)
from hero.runs.sealed import file_checksum
from hero.runs.writer import Run
from hero.types import Diagnosis, Trajectory
from tests.platforms import NEEDS_OPEN_FILES, make_endless, make_link, make_pipe
from tests.strategies import diagnoses, json_values, trajectories

SETTINGS = {"env": "webshop", "seed": 3, "env_args": {"level": "easy"}}


def trainer(text: str):  # type: ignore[no-untyped-def]
    """A trainer's `save` that leaves two files."""

    def save(path: Path) -> None:
        (path / "more").mkdir(parents=True)
        (path / "weights").write_text(text)
        (path / "more" / "state").write_text("s")

    return save


def play(run: Run, first: int, last: int) -> None:
    """Some steps with a record of every kind."""
    for step in range(first, last + 1):
        for kind in KINDS:
            run.record(kind, *({"step": step, "row": row} for row in range(2)))
        run.save_checkpoint(step, trainer(f"after {step}"))


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three complete steps, let go."""
    path = tmp_path_factory.mktemp("made") / "run"
    with Run.create(path, SETTINGS) as run:
        play(run, 0, 3)
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "run")


def test_a_run_is_read_as_it_was_written(path: Path) -> None:
    assert read_settings(path) == SETTINGS
    assert [row["step"] for row in read_rows(path, "steps")] == [0, 0, 1, 1, 2, 2, 3, 3]
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 3
    assert (checkpoint.trainer / "weights").read_text() == "after 3"


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
        run.save_checkpoint(4, fail)
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


@pytest.mark.parametrize("what", ["a pipe", "a device", "a link to itself", "a directory"])
def test_whatever_lies_in_place_of_what_is_not_complete_gives_way(tmp_path: Path, what: str) -> None:
    IN_PLACE[what](tmp_path / ".partial")
    with Run.create(tmp_path, SETTINGS):
        assert read_settings(tmp_path) == SETTINGS
    assert not os.path.lexists(tmp_path / ".partial")


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
    with pytest.raises(RunError, match=r"has schema 99 and this version reads 4; use hero-agents 7\.1"):
        Run.resume(path, {})
    (path / "config.json").write_text(json.dumps(config | {"schema": 2}))
    with pytest.raises(RunError, match="this version reads 4; use hero-agents of an earlier commit, or start another"):
        Run.resume(path, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 2'])
def test_a_damaged_config_is_refused_by_name(path: Path, text: str) -> None:
    (path / "config.json").write_text(text)
    with pytest.raises(RunError, match=r"config\.json is damaged"):
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


@given(trajectories(), diagnoses(), st.data())
def test_any_value_in_an_episode_s_record_can_be_another_one(
    tmp_path_factory: pytest.TempPathFactory, trajectory: Trajectory, diagnosis: Diagnosis, data: st.DataObject
) -> None:
    record = json.loads(json.dumps(Episode(1, trajectory, diagnosis).record()))
    places = [(record, key) for key in record]
    for holder, key in places:
        inner = holder[key]
        if isinstance(inner, dict | list):
            places += [(inner, name) for name in (inner if isinstance(inner, dict) else range(len(inner)))]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(json_values)
    path = tmp_path_factory.mktemp("run")
    (path / "episodes.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    with contextlib.suppress(RunError):
        list(read_episodes(path))


def test_a_record_that_is_no_episode_is_named_by_its_line(path: Path) -> None:
    with pytest.raises(RunError, match=r"episodes\.jsonl, line 1 is not an episode: KeyError"):
        list(read_episodes(path))


def test_a_damaged_checkpoint_is_refused_by_name(path: Path) -> None:
    (path / "checkpoints" / "step-000003" / "progress.json").unlink()
    with pytest.raises(RunError, match=r"step-000003 is damaged \(it has no progress\.json\)"):
        Run.resume(path, {})


def damaged(path: Path, read: Callable[[], object], bits: Iterable[int]) -> None:
    """Flips single bits of a file, one after another: each time it is refused by name."""
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
    with Run.resume(path, {}) as run:
        run.write_summary({"steps": 3, "gain": 0.25, "low": None})
    readers = {"config.json": read_config, "summary.json": read_summary}
    damaged(
        path / name, lambda: readers.get(name, latest_checkpoint)(path), range(0, 8 * (path / name).stat().st_size, 3)
    )


def test_damage_is_refused_before_anything_is_cut(path: Path) -> None:
    (path / "checkpoints" / "step-000003" / "trainer" / "weights").write_text("after 4")
    before = contents(path)
    with pytest.raises(RunError, match=r"weights is damaged"):
        Run.resume(path, {})
    assert contents(path) == before


def nothing(file: Path) -> None:
    """Leaves no file."""


def itself(file: Path) -> None:
    make_link(file, file.name)


def text(content: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(content)


IN_PLACE: dict[str, Callable[[Path], object]] = {
    "a pipe": make_pipe,
    "a device": make_endless,
    "a link to itself": itself,
    "a directory": Path.mkdir,
    "nothing": nothing,
    "an empty file": text(""),
    "brackets": text("[" * 100_000),
    "braces": text('{"a":' * 100_000),
    "a long number": text('{"schema": ' + "7" * 5000 + "}"),
    "no number": text('{"schema": NaN}'),
    "a list": text("[]"),
    "zeros": text("\0" * 50),
    "no text": lambda file: file.write_bytes(b"\xff\xfe{"),
}


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
        Run.resume(path, {})
    assert is_run_dir(path)


@pytest.mark.parametrize("what", ["a pipe", "a device", "a link to itself", "a directory"])
def test_whatever_lies_in_place_of_the_lock_is_refused(path: Path, what: str) -> None:
    (path / ".lock").unlink()
    IN_PLACE[what](path / ".lock")
    with pytest.raises(RunError, match=r"\.lock"):
        Run.resume(path, {})


@pytest.mark.parametrize("what", IN_PLACE)
def test_whatever_lies_in_place_of_a_model_s_config_is_no_run(tmp_path: Path, what: str) -> None:
    IN_PLACE[what](tmp_path / "config.json")
    assert is_run_dir(tmp_path) == (what == "no number")


def test_foreign_files_in_checkpoints_are_left_alone(path: Path) -> None:
    folder = path / "checkpoints"
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / "step-000003" / ".DS_Store").write_bytes(b"Bud1")
    (folder / "step-000099").write_text("a file")
    (folder / "step-000003 copy").mkdir()
    with Run.resume(path, {}) as run:
        play(run, 4, 5)
    assert {entry.name for entry in folder.iterdir()} == {".DS_Store", "step-000099", "step-000003 copy", "step-000005"}


def test_what_a_sudden_death_left_of_older_steps_is_removed(path: Path) -> None:
    folder = path / "checkpoints"
    shutil.copytree(folder / "step-000003", folder / "step-000002")
    (folder / "step-000002" / "progress.json").unlink()
    (folder / ".partial").mkdir()
    (path / ".partial").write_text("{")
    with Run.resume(path, {}):
        assert [entry.name for entry in folder.iterdir()] == ["step-000003"]
        assert not (path / ".partial").exists()


def test_a_step_that_is_replaced_while_it_is_read_gives_way_to_the_newer_one(path: Path) -> None:
    with Run.resume(path, {}) as run:
        seen: list[int] = []

        def read(checkpoint: Checkpoint) -> str:
            seen.append(checkpoint.step)
            if checkpoint.step == 3:
                play(run, 4, 4)
            return (checkpoint.trainer / "weights").read_text()

        assert read_latest(path, read) == "after 4"
    assert seen == [3, 4]


def test_a_step_that_vanishes_before_it_is_read_gives_way_to_the_newer_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run.resume(path, {}) as run:

        def replaced(file: Path) -> int:
            monkeypatch.undo()
            play(run, 4, 4)
            return file_checksum(file)

        monkeypatch.setattr("hero.runs.reader.file_checksum", replaced)
        checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    assert checkpoint.step == 4


def test_a_run_can_be_given_more_to_do(path: Path) -> None:
    with Run.resume(path, {}) as run:
        run.write_summary({"steps": 3})
        run.extend({"seed": 4})
        assert run.settings == SETTINGS | {"seed": 4}
    assert read_settings(path) == SETTINGS | {"seed": 4}
    assert not (path / "summary.json").exists()


def test_the_provenance_is_kept(tmp_path: Path) -> None:
    provenance = {"data": "/data", "model": {"hash": "abc"}}
    with Run.create(tmp_path, SETTINGS, provenance):
        pass
    with Run.resume(tmp_path, {}) as run:
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


RESUME = """
import sys
from pathlib import Path
from hero.runs.writer import Run
run = Run.resume(Path(sys.argv[1]), {})
print("resumed", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_kept_out_until_the_first_lets_go(path: Path) -> None:
    def resume() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", RESUME, path], input="", capture_output=True, text=True)

    with Run.resume(path, {}):
        assert f"another process is writing {path}; wait until it ends" in resume().stderr
        with pytest.raises(RunError, match="another process is writing"):
            Run.resume(path, {})
    assert resume().returncode == 0


def test_the_lock_of_a_process_that_is_killed_is_gone(path: Path) -> None:
    command = [sys.executable, "-c", RESUME, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "resumed\n"
        with pytest.raises(RunError, match="another process is writing"):
            Run.resume(path, {})
        process.kill()
    with Run.resume(path, {}) as run:
        assert run.settings == SETTINGS


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
        run.save_checkpoint(0, trainer("x"))
    partial = path / "checkpoints" / ".partial"
    assert {path / "steps.jsonl", path / "checkpoints", partial, partial / "trainer" / "weights"} <= synced
