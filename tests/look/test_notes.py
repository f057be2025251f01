"""Notes beside a run: what was written is read, unfinished files go on, and other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hero.errors import ConfigError, RunError
from hero.look.entries import identity
from hero.look.notes import NotesWriter, beside, read_notes, require_file_outside, require_outside
from hero.types import Diagnosis, Trajectory
from tests.look.made import SETTINGS, write_run
from tests.played import episode


def played(task: str) -> Trajectory:
    return episode([("go", "there")], start=task)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [(1, played("a"), Diagnosis("rules")), (1, played("b"), Diagnosis("rules"))])


def write(file: Path, run: Path, notes: dict[str, dict[str, object]], **about: object) -> set[str]:
    """Writes notes, and returns the keys that were there before."""
    with NotesWriter(file, "scores", run, about) as writer:
        done = set(writer.done)
        writer.write(notes)
    return done


def test_notes_are_read_as_they_were_written_and_no_other_file_stays(run: Path) -> None:
    file = beside(run, "scores")
    assert file == run.parent / "run-scores.jsonl"
    write(file, run, {"training/1": {"turns": [1]}, "training/2": {"turns": []}}, checkpoint=3)
    header, notes = read_notes(file, "scores", run)
    assert header["checkpoint"] == 3
    assert {key: note["turns"] for key, note in notes.items()} == {"training/1": [1], "training/2": []}
    assert {path.name for path in run.parent.iterdir()} == {"run", "run-scores.jsonl"}


@pytest.mark.parametrize("torn", ['{"episode": "training/2", "tu', ""])
def test_an_unfinished_file_goes_on_after_its_last_complete_line(run: Path, torn: str) -> None:
    file = beside(run, "scores")
    write(file, run, {"training/1": {"turns": [1]}})
    with file.open("a") as opened:
        opened.write(torn)
    assert write(file, run, {"training/2": {"turns": [2]}}) == {"training/1"}
    assert len(file.read_text().splitlines()) == 3
    assert read_notes(file, "scores", run)[1]["training/2"]["turns"] == [2]


@pytest.mark.parametrize("torn", ["", '{"format": 1, "ki'])
def test_a_file_that_ended_before_its_first_line_is_begun_again(run: Path, torn: str) -> None:
    file = beside(run, "scores")
    file.write_text(torn)
    assert write(file, run, {"training/1": {"turns": [1]}}) == set()
    assert [*read_notes(file, "scores", run)[1]] == ["training/1"]


def test_a_note_that_was_written_twice_cuts_nothing_off(run: Path) -> None:
    file = beside(run, "scores")
    write(file, run, {"training/1": {"turns": [1]}})
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, lines[1], lines[1].replace("/1", "/2")]))
    assert write(file, run, {}) == {"training/1", "training/2"}
    assert [*read_notes(file, "scores", run)[1]] == ["training/1", "training/2"]


def test_two_processes_do_not_write_one_file(run: Path) -> None:
    file = beside(run, "scores")
    with NotesWriter(file, "scores", run, {}), pytest.raises(RunError, match="another process is writing"):
        write(file, run, {})
    assert write(file, run, {}) == set()


def test_notes_made_with_something_else_are_refused_by_what_differs(run: Path) -> None:
    file = beside(run, "scores")
    write(file, run, {}, checkpoint=3, teacher="x")
    with pytest.raises(RunError, match="was made with another checkpoint; give another --out"):
        write(file, run, {}, checkpoint=4, teacher="x")


def test_notes_about_another_run_are_refused_even_if_it_began_alike(run: Path, tmp_path: Path) -> None:
    file = beside(run, "scores")
    write(file, run, {})
    settings = SETTINGS | {"learning_rate": 0.01}
    other = write_run(tmp_path / "other", [(1, played("a"), Diagnosis("rules"))], settings=settings)
    with pytest.raises(RunError, match="is about another run"):
        read_notes(file, "scores", other)
    settings = SETTINGS | {"steps": 9, "kv_cache_gib": 1.0, "micro_batch_tokens": 512, "gradient_checkpointing": True}
    resumed = write_run(tmp_path / "resumed", [(1, played("a"), Diagnosis("rules"))], settings=settings)
    read_notes(file, "scores", resumed)


def test_nothing_is_written_into_a_run_or_onto_a_directory(run: Path) -> None:
    (run.parent / "episodes.jsonl").touch()  # somebody's dataset makes no run
    for file in (run / "x.jsonl", run / "checkpoints" / ".." / "x.jsonl", run / "a" / "b", run):
        with pytest.raises(ConfigError, match="within the run"):
            require_outside(file)
    require_outside(run.parent)
    with pytest.raises(ConfigError, match="is a directory"):
        require_file_outside(run.parent)
    assert beside(run / "checkpoints" / "..", "scores") == beside(run, "scores")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}\n",
        "x\n",
        '{"format": 1, "kind": "diagnoses", "run": 1}\n',
        "half a line",
        '{"format": 1, "kind": "scores", "run": RUN}\n{"x": 1}\n',
    ],
)
def test_other_files_are_refused(run: Path, content: str) -> None:
    file = beside(run, "scores")
    file.write_text(content.replace("RUN", str(identity(run))))
    with pytest.raises(RunError, match=r"run-scores\.jsonl"):
        read_notes(file, "scores", run)


def test_a_missing_file_names_the_command_that_writes_it(run: Path) -> None:
    with pytest.raises(RunError, match="hero reflect writes one"):
        read_notes(run.parent / "nothing.jsonl", "diagnoses", run)
