"""Notes beside a run: what was written is read, unfinished files go on, and other files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hero.errors import RunError
from hero.look.notes import NotesWriter, beside, read_notes
from hero.types import Diagnosis, Trajectory
from tests.look.made import write_run
from tests.played import episode


def played(task: str) -> Trajectory:
    return episode([("go", "there")], start=task)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [(1, played("a"), Diagnosis("rules")), (1, played("b"), Diagnosis("rules"))])


def test_notes_are_read_as_they_were_written(run: Path) -> None:
    file = beside(run, "scores")
    assert file == run.parent / "run-scores.jsonl"
    writer = NotesWriter(file, "scores", run, {"checkpoint": 3})
    writer.write({"training/1": {"turns": [1]}, "training/2": {"turns": []}})
    header, notes = read_notes(file, "scores", run)
    assert header["checkpoint"] == 3
    assert {key: note["turns"] for key, note in notes.items()} == {"training/1": [1], "training/2": []}


def test_an_unfinished_file_goes_on_after_its_last_complete_line(run: Path) -> None:
    file = beside(run, "scores")
    NotesWriter(file, "scores", run, {"checkpoint": 3}).write({"training/1": {"turns": [1]}})
    with file.open("a") as torn:
        torn.write('{"episode": "training/2", "tu')
    writer = NotesWriter(file, "scores", run, {"checkpoint": 3})
    assert writer.done == {"training/1"}
    writer.write({"training/2": {"turns": [2]}})
    assert read_notes(file, "scores", run)[1]["training/2"]["turns"] == [2]


def test_notes_made_with_something_else_are_refused_by_what_differs(run: Path) -> None:
    file = beside(run, "scores")
    NotesWriter(file, "scores", run, {"checkpoint": 3, "teacher": "x"})
    with pytest.raises(RunError, match="was made with another checkpoint; give another --out"):
        NotesWriter(file, "scores", run, {"checkpoint": 4, "teacher": "x"})


def test_notes_about_another_run_are_refused(run: Path, tmp_path: Path) -> None:
    file = beside(run, "scores")
    NotesWriter(file, "scores", run, {})
    other = write_run(tmp_path / "other", [(1, played("c"), Diagnosis("rules"))])
    with pytest.raises(RunError, match="is about another run"):
        read_notes(file, "scores", other)


@pytest.mark.parametrize(
    "content", ["", "{}\n", "x\n", '{"format": 1, "kind": "diagnoses", "run": 1}\n', "half a line"]
)
def test_other_files_are_refused(run: Path, content: str) -> None:
    file = beside(run, "scores")
    file.write_text(content)
    with pytest.raises(RunError, match=r"run-scores\.jsonl"):
        read_notes(file, "scores", run)


def test_a_missing_file_names_the_command_that_writes_it(run: Path) -> None:
    with pytest.raises(RunError, match="hero reflect writes one"):
        read_notes(run.parent / "nothing.jsonl", "diagnoses", run)
