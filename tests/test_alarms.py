"""Alarms: what raises each of them, when it is reported, and that the document tells the same thresholds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero import alarms as module
from hero.alarms import (
    CHECKS,
    COMMONEST,
    FEW_FOLLOW,
    LEAK,
    LESS_VALID,
    LITTLE_RIGHT,
    MANY_CONTRADICT,
    MANY_REPEAT,
    MIN_TURNS,
    REPORT_EVERY,
    SHORTER,
    STOP_AFTER,
    alarms,
    is_due,
    why_few_follow,
)
from tests.source import ROOT

TABLE = (ROOT / "docs" / "alarms.md").read_text("utf-8")


def row(**changes: Any) -> dict[str, Any]:
    """Returns a step that raises no alarm, but for the changes of its metrics."""
    rollout = {"episodes": 8, "valid_actions": 0.9, "action_length": 20.0, "commonest_action": 0.3}
    update = {"tokens_with_loss": 50.0, "turns_distilled": 30.0, "teacher_tokens": 900.0, "teacher_tokens_apart": 90.0}
    update |= {
        "turns_too_long": 0.0,
        "turns_faulted": 20.0,
        "turns_contradicted": 0.0,
        "turns_advised": 15.0,
        "followed": 0.9,
        "repeated": 0.01,
        "lift": 2.0,
    }
    parts: dict[str, Any] = {
        "step": 1,
        "rollout": rollout,
        "reflection": {"episodes_with_finding": 0.5, "problems": 0},
        "update": update,
        "examples": 30,
        "quality": {"leak": 0.0, "advice_right": 0.9},
        "alarms": [],
    }
    for name, value in changes.items():
        home = next((part for part in parts.values() if isinstance(part, dict) and name in part), None)
        (parts if home is None else home)[name] = value
    return parts


def raised(*rows: dict[str, Any], reflects: bool = True) -> list[str]:
    return list(alarms(rows, reflects=reflects))


def test_a_step_in_which_all_is_well_raises_nothing() -> None:
    assert raised(row()) == []
    assert raised(row(), row(), row(), row()) == []


ABOVE, BELOW = 1.001, 0.999


@pytest.mark.parametrize(
    ("name", "bad", "well"),
    [
        ("shrinking", {"action_length": 20 * SHORTER * BELOW}, {"action_length": 20 * SHORTER * ABOVE}),
        ("collapse", {"commonest_action": COMMONEST * ABOVE}, {"commonest_action": COMMONEST}),
        (
            "less_valid",
            {"valid_actions": 0.9 - LESS_VALID * ABOVE},
            {"valid_actions": 0.9 - LESS_VALID * BELOW},
        ),
        ("no_findings", {"episodes_with_finding": 0.0}, {"episodes_with_finding": 0.1}),
        ("no_review", {"problems": 2}, {"problems": 1}),
        ("no_signal", {"examples": 0}, {"examples": 1}),
        ("no_signal", {"tokens_with_loss": 0.0}, {"tokens_with_loss": 1.0}),
        ("too_long", {"turns_too_long": 1.0}, {"turns_too_long": 0.0}),
        ("few_follow", {"followed": FEW_FOLLOW * BELOW}, {"followed": FEW_FOLLOW}),
        ("repeats", {"repeated": MANY_REPEAT * ABOVE}, {"repeated": MANY_REPEAT}),
        ("no_lift", {"lift": 0.0}, {"lift": 0.001}),
        ("contradicts", {"turns_contradicted": 20 * MANY_CONTRADICT + 1}, {"turns_contradicted": 20 * MANY_CONTRADICT}),
        ("wrong_advice", {"advice_right": LITTLE_RIGHT * BELOW}, {"advice_right": LITTLE_RIGHT}),
        ("leak", {"leak": LEAK * ABOVE}, {"leak": LEAK}),
    ],
)
def test_an_alarm_begins_at_its_threshold(name: str, bad: dict[str, float], well: dict[str, float]) -> None:
    before = [row()] * 4
    assert raised(*before, row(**bad)) == [name]
    assert raised(*before, row(**well)) == []


@pytest.mark.parametrize("name", ["action_length", "commonest_action", "valid_actions"])
def test_the_first_steps_are_what_later_ones_are_compared_with(name: str) -> None:
    good, bad = (0.3, 0.9) if name == "commonest_action" else (1.0, 0.1)
    steps = [row(**{name: good})] * 3 + [row(**{name: bad})] * 9
    assert raised(*steps[:1]) == raised(*steps[:3]) == []
    assert len(raised(*steps[:4])) == len(raised(*steps)) == 1
    assert raised(*[row(**{name: bad})] * 5) == []


def test_the_second_step_is_compared_with_the_first_alone() -> None:
    assert raised(row(action_length=20.0), row(action_length=9.9)) == ["shrinking"]


def test_rewards_are_advised_to_a_run_that_has_none() -> None:
    without = row(advice_right=0.1)
    beside = {**without, "update": without["update"] | {"clip_fraction": 0.0}}
    assert "--learner sdar" in alarms([without], reflects=True)["wrong_advice"]
    assert "--learner sdar" not in alarms([beside], reflects=True)["wrong_advice"]


@pytest.mark.parametrize(("bad", "count", "alarm"), [
    ({"followed": 0.0}, "turns_advised", "few_follow"),
    ({"lift": -1.0}, "turns_advised", "no_lift"),
    ({"advice_right": 0.1}, "turns_advised", "wrong_advice"),
    ({"advice_right": 0.1, "turns_advised": 0.0}, "turns_contradicted", "wrong_advice"),
    ({"repeated": 1.0}, "turns_faulted", "repeats"),
    ({"repeated": 1.0, "turns_contradicted": 5.0}, "turns_faulted", "repeats"),
])  # fmt: skip
def test_a_few_turns_say_nothing_about_the_teacher(bad: dict[str, float], count: str, alarm: str) -> None:
    least = MIN_TURNS + bad.get("turns_contradicted", 0.0)
    assert raised(row(**{**bad, count: least})) == [alarm]
    assert raised(row(**{**bad, count: least - 1})) == []


def test_what_is_not_measured_raises_nothing() -> None:
    unmeasured = row()
    for name in ("followed", "repeated", "lift", "turns_faulted", "turns_advised"):
        del unmeasured["update"][name]
    del unmeasured["quality"]
    assert raised(unmeasured) == []


def test_reviews_that_all_contradict_themselves_say_nothing_about_the_teacher() -> None:
    assert raised(row(turns_faulted=float(MIN_TURNS), turns_contradicted=float(MIN_TURNS))) == ["contradicts"]


def test_a_run_without_a_reflector_needs_no_findings() -> None:
    silent = row(episodes_with_finding=0.0)
    assert raised(silent) == ["no_findings"]
    assert raised(silent, reflects=False) == []


def test_a_teacher_that_reads_every_turn_by_itself_is_noticed_in_the_first_step() -> None:
    apart = row(teacher_tokens_apart=900.0)
    assert raised(apart) == ["apart"]
    assert raised(row(), apart) == []
    assert raised(row(teacher_tokens_apart=900.0, turns_distilled=8.0)) == []


@given(st.lists(st.booleans(), max_size=3), st.integers(1, 35))
def test_an_alarm_is_reported_when_it_is_new_and_every_ten_steps_after(before: list[bool], streak: int) -> None:
    raises = [*before, False] + [True] * streak
    rows = [row(alarms=["leak"] if is_raised else ["collapse"]) for is_raised in raises]
    assert is_due("leak", rows) == is_due("leak", rows[len(before) + 1 :]) == (streak in range(1, 36, REPORT_EVERY))


FOLLOW = {
    "follow": {"followed": 0.9},
    "few": {"followed": 0.1},
    "few of few": {"followed": 0.1, "turns_advised": 3.0},
}


@given(st.lists(st.sampled_from(sorted(FOLLOW)), min_size=1, max_size=8))
def test_few_that_follow_in_three_steps_in_a_row_are_a_reason_to_stop(steps: list[str]) -> None:
    why = why_few_follow([row(**FOLLOW[each]) for each in steps])
    assert bool(why) == (steps[-STOP_AFTER:] == ["few"] * STOP_AFTER)


def test_the_document_has_every_alarm_and_every_threshold() -> None:
    constants = {
        name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, int | float)
    }
    assert {name: float(value) for name, value in re.findall(r"`([A-Z_]+) = ([\d.]+)`", TABLE)} == constants
    assert re.findall(r"^\| `(\w+)` \|", TABLE, re.MULTILINE) == [*CHECKS, "worse"]
