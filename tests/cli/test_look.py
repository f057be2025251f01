"""`hero view`, `show`, `score`, `reflect` and `export --as` on a finished run."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hero.distill.sums import teacher_of
from hero.distill.teacher import DemonstrationTeacher, HindsightTeacher
from hero.look.entries import read_entries
from hero.look.notes import checksum_of, read_notes
from hero.reflect.rules import RulesReflector
from hero.runs.codec import decode_diagnosis
from hero.runs.reader import read_episodes, read_rows
from hero.types import Action, Diagnosis, Tokens, Trajectory
from hero_cli.learner import read_learner
from hero_cli.resolve import settings_of
from tests.cli.conftest import Hero, contents, refused
from tests.look.made import write_run
from tests.played import episode
from tests.source import ROOT


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """Copies the finished run, since notes are written beside it."""
    return shutil.copytree(finished, tmp_path / "run")


def page(file: Path) -> dict[str, Any]:
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"), re.DOTALL
    )
    return json.loads(text)  # type: ignore[no-any-return]


def test_the_document_names_every_number_of_a_step(finished: Path) -> None:
    text = ROOT.joinpath("docs/run-directory.md").read_text("utf-8")
    for row in read_rows(finished, "steps"):
        for part in ("reflection", "quality", "update"):
            assert not {name for name in row[part] if f"`{part}.{name}`" not in text}


def test_validation_episodes_are_those_that_the_evaluations_count(run: Path) -> None:
    evals = read_rows(run, "evals")
    assert [(row["step"], row["mode"]) for row in evals] == [
        (0, "sampled"), (0, "greedy"), (2, "sampled"), (4, "sampled"), (4, "greedy"),
    ]  # fmt: skip
    entries = read_entries(run, ["validation"])
    for row in evals:
        played = [each for each in entries if (each.step, each.mode) == (row["step"], row["mode"])]
        assert [each.trajectory.task_id for each in played] == [outcome["task_id"] for outcome in row["outcomes"]]
        assert [each.trajectory.success for each in played] == [outcome["success"] for outcome in row["outcomes"]]


def test_replaying_the_reflector_gives_the_stored_diagnoses_and_changes_no_file_of_the_run(
    hero: Hero, run: Path
) -> None:
    before = contents(run)
    result = hero("reflect", run, "--reflector", "rules")
    assert result.exit_code == 0, result.output
    assert "100.0 % the same" in result.stdout
    _, notes = read_notes(run.parent / "run-diagnoses-rules.jsonl", "diagnoses", run)
    stored = {f"training/{number}": each.diagnosis for number, each in enumerate(read_episodes(run), 1)}
    assert {key: decode_diagnosis(note["diagnosis"]) for key, note in notes.items()} == stored
    assert contents(run) == before


def test_another_reflector_is_compared_and_scored(hero: Hero, run: Path) -> None:
    result = hero("reflect", run, "--reflector", "feedback", "--validation")
    assert result.exit_code == 0, result.output
    file = run.parent / "run-diagnoses-feedback.jsonl"
    assert len(read_notes(file, "diagnoses", run)[1]) == len(read_entries(run))
    result = hero("score", run, "--diagnoses", file)
    assert result.exit_code == 0, result.output
    header, notes = read_notes(run.parent / "run-scores.jsonl", "scores", run)
    assert header["diagnoses"] == checksum_of(file)
    assert any(key.startswith("validation/") and note["turns"] for key, note in notes.items())
    result = hero("view", run, "--no-open")  # with the diagnoses of the run
    assert "has scores with other diagnoses, and is left out" in result.stderr
    assert not page(run.parent / "run.html")["runs"][0]["scored"]
    scores = run.parent / "run-scores.jsonl"
    refused(hero("view", run, "--no-open", "--scores", scores), "has scores with other diagnoses")
    assert hero("view", run, "--no-open", "--diagnoses", file).exit_code == 0
    assert page(run.parent / "run.html")["runs"][0]["scored"]


def test_a_run_is_scored_shown_and_viewed(hero: Hero, run: Path) -> None:
    before = contents(run)
    assert "hero score run" in page_hint(hero, run)
    result = hero("score", run, "--last", 3)
    assert result.exit_code == 0, result.output
    _, notes = read_notes(run.parent / "run-scores.jsonl", "scores", run)
    assert {*notes} == {"training/14", "training/15", "training/16"}
    assert hero("score", run).exit_code == 0
    _, notes = read_notes(run.parent / "run-scores.jsonl", "scores", run)
    episodes = [*read_episodes(run)]
    assert len(notes) == len(episodes)
    for number, each in enumerate(episodes, 1):
        for turn in notes[f"training/{number}"]["turns"]:
            tokens = each.trajectory.turns[turn["turn"]].action.tokens
            assert tokens is not None
            assert len(turn["tokens"]) == len(tokens.action_ids)
    assert hero("view", run, "--no-open").exit_code == 0
    told = page(run.parent / "run.html")
    assert [each["key"] for each in told["episodes"]] == [entry.key for entry in read_entries(run)]
    assert any("tokens" in turn for each in told["episodes"] for turn in each["turns"])
    assert "training/16" in hero("show", run).stdout
    assert "validation/1" in hero("show", run, "--split", "validation").stdout
    assert hero("show", run, "--split", "validation", "--episode", 3).stdout.startswith("validation/3, ")
    assert "no episode fits" in hero("show", run, "--step", 99).stdout
    shown = hero("show", run, "--episode", 1).stdout
    turn = episodes[0].trajectory.turns[0]
    assert "turn 1" in shown
    assert "teacher read" in shown
    assert turn.observation.split()[0] in shown
    assert contents(run) == before


def page_hint(hero: Hero, run: Path) -> str:
    """Returns what the page would tell of scores; the words are made in the browser."""
    assert hero("view", run, "--no-open").exit_code == 0
    return f"hero score {run.name}" if not page(run.parent / "run.html")["runs"][0]["scored"] else ""


def test_an_evaluation_keeps_what_it_played(hero: Hero, run: Path, tmp_path: Path) -> None:
    result = hero("eval", run, "--tasks", 2, "--out", tmp_path / "ev", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [outcome["task_id"] for outcome in record["outcomes"]] == [
        each.trajectory.task_id for each in read_entries(tmp_path / "ev")
    ]
    assert hero("view", run, tmp_path / "ev", "--no-open").exit_code == 0
    assert {each["split"] for each in page(run.parent / "run.html")["episodes"]} == {
        "training",
        "validation",
        "evaluation",
    }
    assert "evaluation/2" in hero("show", tmp_path / "ev").stdout
    assert "turn 1" in hero("show", tmp_path / "ev", "--episode", 2).stdout
    refused(hero("show", tmp_path / "ev", "--split", "training"), "--split training does nothing with")
    for options in (["view", "--no-open", "--scores"], ["show", "--episode", 2, "--diagnoses"]):
        refused(hero(*options, "x.jsonl", tmp_path / "ev"), "x.jsonl does nothing with", "leave it out")
    refused(hero("score", tmp_path / "ev"), "is what hero eval --out wrote, and not a run")
    refused(hero("eval", run, "--suite", "x.jsonl", "--out", "y"), "--out does nothing with --suite")
    refused(hero("eval", run, "--tasks", 2, "--out", tmp_path / "ev"), "already holds")


def test_training_episodes_are_exported(hero: Hero, run: Path, tmp_path: Path) -> None:
    result = hero("export", run, "rows.jsonl", "--as", "episodes")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"training/{number}" for number in range(1, 17)]
    refused(hero("export", run, "rows.jsonl", "--as", "episodes"), "exists already")
    refused(hero("export", run, "pairs.jsonl", "--as", "preferences"), "no episode fits")  # the rules give no advice


def test_a_run_can_be_resumed_after_all_of_this(hero: Hero, run: Path) -> None:
    assert hero("reflect", run).exit_code == 0
    assert hero("score", run, "--checkpoint", "newest").exit_code == 0
    assert hero("run", "--resume", "--out", run, "--steps", 5).exit_code == 0
    assert len(read_rows(run, "steps")) == 5
    refused(hero("score", run, "--checkpoint", "newest"), "was made with another checkpoint; give another --out")
    assert hero("score", run, "--checkpoint", "newest", "--out", "newest.jsonl").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["view", "nowhere"], "nowhere is neither a run directory nor what hero eval --out wrote"),
        (["show", "nowhere"], "nowhere is neither a run directory"),
        (["score", "nowhere"], "nowhere is not a run directory"),
        (["reflect", "nowhere"], "nowhere is not a run directory"),
        (["export", "tiny", "x.jsonl", "--as", "sft"], "tiny is not a run, so it has no episodes"),
    ],
)
def test_what_is_no_run_is_refused(hero: Hero, arguments: list[str], message: str) -> None:
    refused(hero(*arguments), message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--episode", "999"], "has no episode 999; hero show"),
        (["score", "--diagnoses", "missing.jsonl"], "missing.jsonl is not a file; hero reflect writes one"),
        (["view", "--no-open", "--scores", "missing.jsonl"], "missing.jsonl is not a file; hero score writes one"),
        (["show", "--episode", "1", "--failed"], "--failed and --step choose what is listed"),
        (["show", "--episode", "training/1", "--split", "training"], "--split training does nothing with --episode"),
        (["show", "--scores", "run-scores.jsonl"], "run-scores.jsonl does nothing without --episode"),
        (["reflect", "--checkpoint", "newest"], "--checkpoint newest does nothing with --reflector rules, which"),
        (["view", "--no-open", "--out", "run/config.json"], "is within the run"),
        (["view", "--no-open", "--out", "."], "--out . is a directory; give a file"),
        (["score", "--out", "run/x.jsonl"], "is within the run"),
        (["reflect", "--out", "run/x.jsonl"], "is within the run"),
        (["eval", "--out", "run/inside"], "is within the run"),
        (["export", "run/exported"], "is within the run"),
        (["export", "run/rows.jsonl", "--as", "episodes"], "is within the run"),
        (["export", "rows.jsonl"], "rows.jsonl is the name of a dataset; give a directory, or --as episodes"),
        (["compare", "--out", "run"], "is within the run"),
        (["compare", "--out", "run/inside"], "is within the run"),
        (["reflect", "--reflector", "oracle"], "hero.reflectors has no 'oracle'"),
        (["reflect", "--reflector-arg", "x=1"], "has no option 'x'"),
        (["export", "rows.csv", "--as", "episodes"], "must end with .jsonl or .parquet"),
        (["export", "rows.jsonl", "--as", "episodes", "--merge"], "--merge does nothing with --as episodes"),
    ],
)
def test_mistakes_are_named(hero: Hero, run: Path, arguments: list[str], message: str) -> None:
    command, *rest = arguments
    before = contents(run)
    refused(hero(command, run, *rest), message)
    assert contents(run) == before


@pytest.mark.parametrize(
    "arguments",
    [["compare", "--learners", "base", "--out"], ["eval", "tiny", "--out"], ["export", "tiny"]],
    ids=lambda each: each[0],
)
def test_nothing_of_another_model_is_written_into_a_run(hero: Hero, run: Path, arguments: list[str]) -> None:
    before = contents(run)
    refused(hero(*arguments, run / "inside"), "is within the run")
    assert contents(run) == before


def test_episodes_of_a_learner_without_a_teacher_can_be_reviewed_and_scored(hero: Hero, model: str) -> None:
    options = ["--learner", "grpo", "--group-size", 2, "--episodes", 4, "--steps", 1, "--max-turns", 3, "--threads", 1]
    options += ["--eval-tasks", 2, "--action-tokens", 4, "--min-valid-actions", 0]
    result = hero("run", "--env", "guess", "--model", model, "--out", "r", *options)
    assert result.exit_code == 0, result.output
    refused(hero("score", "r"), "on no turn of r, since nobody has reviewed it; hero reflect r writes reviews")
    assert hero("reflect", "r").exit_code == 0
    result = hero("score", "r", "--diagnoses", "r-diagnoses-rules.jsonl")
    assert result.exit_code == 0, result.output
    assert hero("view", "r", "--no-open", "--diagnoses", "r-diagnoses-rules.jsonl").exit_code == 0
    assert any("tokens" in turn for each in page(Path("r.html"))["episodes"] for turn in each["turns"])
    assert hero("show", "r", "--episode", 1).exit_code == 0


def test_what_the_teacher_read_of_other_episodes_is_shown(hero: Hero, tmp_path: Path) -> None:
    def played(action: str, reward: float) -> Trajectory:
        trajectory = episode([(action, "then")], reward=reward)
        (turn,) = trajectory.turns
        sampled = replace(turn, action=Action(action, Tokens((1,), (2,), (0.0,))))
        return replace(trajectory, turns=(sampled,))

    tries = [(1, played("left", 0)), (1, played("right", 1)), (2, played("up", 0)), (2, played("down", 0))]
    settings = settings_of({"env": "guess", "learner": "demo", "group_size": 2}).record()
    write_run(tmp_path / "r", [(step, each, Diagnosis("none")) for step, each in tries], settings=settings)
    shown = {number: hero("show", "r", "--episode", number).stdout for number in (1, 2, 3)}
    for number in (1, 3):  # a sibling of the same step, and one of an earlier step
        assert "A successful attempt at this task.\n               Action: right" in shown[number]
    assert "teacher read" not in shown[2]


def test_commands_that_are_shown_quote_paths_with_blanks(hero: Hero, run: Path, tmp_path: Path) -> None:
    run.rename(tmp_path / "a run")
    refused(hero("show", "a run", "--episode", 99), "hero show 'a run' lists them")
    assert "\nhero show 'a run' --episode training/16 shows one" in hero("show", "a run").stdout
    scored = hero("score", "a run", "--last", 1, "--out", "its scores").stdout
    assert "look at them: hero view 'a run' --scores 'its scores'\n" in scored
    reported = hero("run", "--resume", "--out", "a run").stdout
    assert "  hero eval 'a run' --split test\nlook inside    hero view 'a run'\n" in reported
    assert hero("view", "a run", "--no-open").exit_code == 0
    assert page(tmp_path / "a run.html")["runs"][0]["path"] == "'a run'"


def test_reviews_that_failed_are_counted(
    hero: Hero, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reflect(reflector: RulesReflector, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        return [Diagnosis("rules", problem="it was out of ink") for _ in trajectories]

    monkeypatch.setattr(RulesReflector, "reflect", reflect)
    last = hero("reflect", run, "--last", 4).stdout.splitlines()[-1]
    assert last.startswith("4 episodes reviewed by rules, 4 of the reviews failed (the first: it was out of ink): ")
    refused(
        hero("score", run, "--diagnoses", "run-diagnoses-rules.jsonl"),
        "since the 4 reviews say nothing of any, and 4 of them failed; hero reflect",
    )


@pytest.mark.parametrize("learner", ["demo+grpo", "distill+grpo", "sdar"])
def test_a_teacher_is_found_within_a_learner(learner: str) -> None:
    built = read_learner(learner).build({}, None)
    teacher = teacher_of(built)
    assert type(teacher) is (DemonstrationTeacher if learner.startswith("demo") else HindsightTeacher)


def test_a_damaged_file_of_diagnoses_is_named(hero: Hero, run: Path) -> None:
    assert hero("reflect", run).exit_code == 0
    file = run.parent / "run-diagnoses-rules.jsonl"
    header, line, *_ = file.read_text().splitlines(keepends=True)
    for damaged in (line.replace('"findings"', '"x"'), line.replace('"diagnosis"', '"y"')):
        file.write_text(header + damaged)
        refused(hero("score", run, "--diagnoses", file), "run-diagnoses-rules.jsonl is damaged")


def test_reviews_by_the_student_name_the_step_that_it_was_asked_at(hero: Hero, run: Path) -> None:
    result = hero("reflect", run, "--reflector", "self", "--checkpoint", "newest", "--last", 2)
    assert result.exit_code == 0, result.output
    header, notes = read_notes(run.parent / "run-diagnoses-self.jsonl", "diagnoses", run)
    assert (header["checkpoint"], len(notes)) == (4, 2)
