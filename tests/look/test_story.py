"""The data of a page: every episode, turn and finding is there, and long runs are thinned by whole steps."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hero.errors import RunError
from hero.look.entries import make_empty, read_entries, write_evaluation
from hero.look.html import write_page
from hero.look.metrics import FILES, METRICS
from hero.look.notes import Note
from hero.look.story import Source, tell, thinned
from hero.testing import strategies
from hero.types import Diagnosis, Finding, Verdict
from tests.look.made import entry, write_run
from tests.played import episode
from tests.source import ROOT

SOLVED = episode([("look", "a door"), ("pull", "open")], reward=1.0)
LOST = episode([("push", "closed")])
DIAGNOSIS = Diagnosis("rules", (Finding(0, Verdict.FAILED, "it opens inwards", "pull"),))


def read_page(file: Path) -> dict[str, object]:
    """Returns the data in a page."""
    (text,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', file.read_text("utf-8"), re.DOTALL
    )
    return json.loads(text)  # type: ignore[no-any-return]


def test_a_page_tells_what_happened(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1, SOLVED, Diagnosis("rules")), (2, LOST, DIAGNOSIS)], [(0, "greedy", LOST)])
    note: Note = {"turns": [{"turn": 0, "tokens": [["push", -0.1, -3.0, [["pull", -0.1]]]], "would": "pull"}]}
    assert write_page(tmp_path / "page.html", [Source(run, {"training/2": note})], max_episodes=10) > 50_000
    told = read_page(tmp_path / "page.html")
    first, second, third = told["episodes"]  # type: ignore[misc]
    assert [each["key"] for each in (first, second, third)] == ["training/1", "training/2", "validation/1"]
    assert (first["success"], second["success"], third["mode"]) == (True, False, "greedy")
    assert second["turns"] == [
        {"action": "push", "observation": "closed", "verdict": "failed", "cause": "it opens inwards", "advice": "pull",
         "tokens": note["turns"][0]["tokens"], "would": "pull"}
    ]  # fmt: skip
    texts = told["texts"]
    assert [texts[number] for number in first["opening"]] == ["act", "start"]  # type: ignore[index]
    (shown,) = told["runs"]  # type: ignore[misc]
    assert (shown["played"], shown["scored"]) == (3, True)
    assert [row["update.loss"] for row in shown["steps"]] == [1, 0.5]
    assert [row["success"]["value"] for row in shown["evals"]] == [0.5] * 3


def test_other_diagnoses_take_the_place_of_the_run_s(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1, LOST, DIAGNOSIS), (1, LOST, DIAGNOSIS)])
    other = Diagnosis("self", (Finding(0, Verdict.USEFUL),))
    first, second = tell([Source(run, diagnoses={"training/1": other})], 10)["episodes"]
    assert (first["author"], first["turns"][0]["verdict"]) == ("self", "useful")
    assert (second["author"], second["turns"][0]["verdict"]) == ("rules", "failed")


def test_an_evaluation_is_shown_like_a_run(tmp_path: Path) -> None:
    make_empty(tmp_path / "ev")
    record = {"step": 3, "mode": "greedy", "policy": "tiny", "success": {"value": 0.5, "low": 0.1, "high": 0.9}}
    write_evaluation(tmp_path / "ev", record, [SOLVED, LOST])
    assert [each.key for each in read_entries(tmp_path / "ev")] == ["evaluation/1", "evaluation/2"]
    told = tell([Source(tmp_path / "ev")], 10)
    assert [(each["step"], each["mode"], each["success"]) for each in told["episodes"]] == [
        (3, "greedy", True), (3, "greedy", False),
    ]  # fmt: skip
    (shown,) = told["runs"]
    assert shown["evals"][0]["success"]["value"] == 0.5
    assert ["policy", "tiny"] in shown["facts"]
    with pytest.raises(RunError, match="already holds"):
        make_empty(tmp_path / "ev")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b'"closed"', b'"opened"'),
        lambda content: b"",
    ],
)
def test_a_run_whose_episodes_were_changed_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    run = write_run(tmp_path / "run", [(1, SOLVED, Diagnosis("rules")), (1, LOST, DIAGNOSIS)])
    file = run / "episodes.jsonl"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunError, match=r"episodes\.jsonl"):
        read_entries(run)


@pytest.mark.parametrize("name", ["steps.jsonl", "evals.jsonl"])
def test_a_run_whose_curves_were_changed_is_refused(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / "run", [(1, LOST, DIAGNOSIS)])
    (run / name).write_text((run / name).read_text().replace("1", "2"))
    with pytest.raises(RunError, match=name):
        read_entries(run)


def test_a_step_that_goes_on_is_shown_without_being_checked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1, SOLVED, Diagnosis("rules"))])
    content = (run / "episodes.jsonl").read_bytes()
    (run / "episodes.jsonl").write_bytes(content + content.replace(b"open", b"shut"))
    assert len(read_entries(run)) == 2


def test_scores_of_other_words_than_the_action_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [(1, LOST, DIAGNOSIS)])
    note: Note = {"turns": [{"turn": 0, "tokens": [["pull", -0.1, -3.0, []], [None, 0, 0, []]]}]}
    (told,) = tell([Source(run, {"training/1": note})], 10)["episodes"]
    assert "tokens" not in told["turns"][0]


def test_numbers_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    rows = [{"step": 1, "turns": 1, "update": {"loss": math.nan, "lift": math.inf, "entropy": 0.5}, "alarms": []}]
    run = write_run(tmp_path / "run", [(1, LOST, DIAGNOSIS)], steps=rows)
    write_page(tmp_path / "page.html", [Source(run)], max_episodes=10)
    (shown,) = read_page(tmp_path / "page.html")["runs"]  # type: ignore[misc]
    assert shown["steps"] == [{"step": 1, "turns": 1, "update.entropy": 0.5}]


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / parent / "run", [(1, LOST, DIAGNOSIS)]) for parent in ("a", "b")]
    assert [run["name"] for run in tell([Source(run) for run in runs], 10)["runs"]] == ["a/run", "b/run"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(1, 40))
def test_a_long_run_is_thinned_by_whole_steps_and_keeps_its_ends(sizes: list[int], most: int) -> None:
    entries = [entry(LOST, step=step) for step, size in enumerate(sizes, 1) for _ in range(size)]
    kept = [*thinned(entries, most)]
    steps = [each.step for each in kept]
    assert len(kept) <= most
    assert {1, len(sizes)} <= set(steps) or most == 1
    if sizes[0] + sizes[-1] <= most:
        assert all(steps.count(step) == sizes[step - 1] for step in set(steps))
    else:
        assert len(kept) >= min(most - 1, sizes[0], sizes[-1])
    if len(entries) <= most:
        assert kept == entries


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_was_played_is_on_the_page_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    trajectory = data.draw(strategies.trajectories())
    diagnosis = data.draw(strategies.diagnoses(num_turns=len(trajectory.turns)))
    run = write_run(folder / "run", [(1, trajectory, diagnosis)])
    write_page(folder / "page.html", [Source(run)], max_episodes=10)
    (told,) = read_page(folder / "page.html")["episodes"]  # type: ignore[misc]
    assert [turn.get("action", "") for turn in told["turns"]] == [turn.action.text for turn in trajectory.turns]
    assert [turn.get("observation", "") for turn in told["turns"]] == [turn.observation for turn in trajectory.turns]
    assert (told["task"], told["error"], told["author"]) == (trajectory.task_id, trajectory.error, diagnosis.author)


def test_the_document_has_the_metrics_and_files_of_the_page() -> None:
    text = ROOT.joinpath("docs/run-directory.md").read_text("utf-8")
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip().replace("\\|", "|") for cell in row) for row in cells]
    assert [(f"`{m.path}`", *(part for part in m[1:])) for m in METRICS] == [row for row in rows if len(row) == 4][2:]
    assert [(f"`{name}`", what) for name, what in FILES] == [row for row in rows if len(row) == 2][2:][: len(FILES)]
    tutorial = ROOT.joinpath("docs/tutorial.md").read_text("utf-8")
    assert [name for name, _ in FILES] == re.findall(r"^\| `(\S+(?:\.\w+|/))` \|", tutorial, re.MULTILINE)
