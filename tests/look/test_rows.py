"""Episodes as datasets: nothing is lost, and Hugging Face datasets read them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.look.entries import Entry
from hero.look.rows import LAYOUTS, episode_rows, preference_rows, sft_rows, write_rows
from hero.testing import strategies
from hero.types import Diagnosis, Finding, Tools, Trajectory, Turn, Verdict
from tests.look.made import entry
from tests.played import episode

PLAYED = episode([("look", "a door"), ("push", "closed"), ("pull", "open")], reward=1.0)
DIAGNOSIS = Diagnosis(
    "rules", (Finding(0, Verdict.USEFUL), Finding(1, Verdict.FAILED, "it opens inwards", "pull"), Finding(2, None))
)
ENTRY = entry(PLAYED, 4, DIAGNOSIS)


def whole(trajectory: Trajectory) -> Trajectory:
    """Returns the episode with the whole conversation so far in each prompt."""
    turns: list[Turn] = []
    for turn in trajectory.turns:
        before = (*turns[-1].prompt, turns[-1].action.message()) if turns else turn.prompt[:1]
        turns.append(replace(turn, prompt=(*before, turn.prompt[-1])))
    return replace(trajectory, turns=tuple(turns))


def test_a_row_has_all_that_a_reader_sees() -> None:
    (row,) = episode_rows([ENTRY])
    assert (row["id"], row["success"], row["reflector"]) == ("training/4", True, "rules")
    assert row["prompt"] == [{"role": "system", "content": "act"}, {"role": "user", "content": "start"}]
    assert [turn["action"] for turn in row["turns"]] == ["look", "push", "pull"]
    assert [turn["verdict"] for turn in row["turns"]] == ["useful", "failed", ""]
    assert row["turns"][1] | {"feedback": ""} == {
        "action": "push", "observation": "closed", "reward": 0.0, "feedback": "", "valid": True, "verdict": "failed",
        "cause": "it opens inwards", "advice": "pull",
    }  # fmt: skip


def test_conversations_are_those_of_solved_episodes() -> None:
    failed = entry(episode([("push", "closed")]), 5)
    (row,) = sft_rows([entry(whole(PLAYED), 4), failed])
    assert row["id"] == "training/4"
    assert [message["role"] for message in row["messages"]] == ["system", *["user", "assistant"] * 3, "user"]
    assert [message["content"] for message in row["messages"]][2::2] == ["look", "push", "pull"]


def test_the_advised_action_is_preferred_to_the_one_that_was_called_wrong() -> None:
    (row,) = preference_rows([ENTRY, entry(PLAYED, 5)])
    assert (row["turn"], row["chosen"], row["rejected"]) == (
        1, [{"role": "assistant", "content": "pull"}], [{"role": "assistant", "content": "push"}],
    )  # fmt: skip


@pytest.mark.parametrize("taken", ["push", "push\n", "<think>it opens outwards</think>push"])
def test_no_action_is_preferred_to_itself(taken: str) -> None:
    same = Diagnosis("self", (Finding(0, Verdict.FAILED, "no", "push"),))
    assert [*preference_rows([entry(episode([(taken, "closed")]), 4, same)])] == []


@st.composite
def drawn(draw: st.DrawFn) -> list[Entry]:
    played = draw(st.lists(strategies.trajectories(), min_size=1, max_size=4))
    return [entry(each, n, draw(strategies.diagnoses(num_turns=len(each.turns)))) for n, each in enumerate(played, 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(entries=drawn())
def test_lines_are_read_as_they_were_written(tmp_path: Path, entries: list[Entry]) -> None:
    rows = [*episode_rows(entries)]
    assert write_rows(tmp_path / "rows.jsonl", rows) == len(entries)
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()] == rows


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.filterwarnings("default")  # theirs
def test_hugging_face_datasets_read_every_layout(tmp_path: Path, layout: str, suffix: str) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed; make test-examples installs it")
    rows = [*LAYOUTS[layout]([entry(whole(PLAYED), number, DIAGNOSIS) for number in (4, 5)])]
    file = tmp_path / f"rows{suffix}"
    write_rows(file, rows)
    kind = {".jsonl": "json", ".parquet": "parquet"}[suffix]
    read = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.to_list() == rows


def test_another_ending_and_nothing_to_write_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end with \.jsonl or \.parquet"):
        write_rows(tmp_path / "rows.csv", [{}])
    with pytest.raises(ConfigError, match="no episode fits"):
        write_rows(tmp_path / "rows.jsonl", [])


def test_tools_go_along_as_json_text() -> None:
    schema = {"type": "function", "function": {"name": "cancel"}}
    first, *others = whole(PLAYED).turns
    opening = (replace(first.prompt[0], tools=Tools((schema,), "cancel(order)")), *first.prompt[1:])
    turns = (replace(first, prompt=opening), *others)
    called = entry(replace(PLAYED, turns=turns), 4, Diagnosis("x", (Finding(0, Verdict.FAILED, "no", "pull"),)))
    for layout in LAYOUTS.values():
        (row,) = layout([called])
        assert json.loads(row["tools"]) == [schema]
    (row,) = episode_rows([ENTRY])
    assert row["tools"] is None


def test_an_episode_that_is_not_one_conversation_is_left_out() -> None:
    assert [row["id"] for row in sft_rows([ENTRY, entry(whole(PLAYED), 5)])] == ["training/5"]
