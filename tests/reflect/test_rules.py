"""The rules for all environments: right about what a trajectory shows, and silent about the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.reflect.base import Reflector
from hero.reflect.rules import RulesReflector
from hero.testing.strategies import trajectories
from hero.types import Finding, Stop, Trajectory
from tests.played import FAILED, INVALID, UNNECESSARY, USEFUL, episode, findings


def test_it_is_a_reflector() -> None:
    assert isinstance(RulesReflector(), Reflector)


def test_an_invalid_action_is_named_with_the_words_of_the_environment() -> None:
    judged = findings(episode([("fly", "start"), ("walk", "hall")], invalid=(0,), stop=Stop.MAX_TURNS))
    assert judged[0] == Finding(0, INVALID, "no such thing; try another")


def test_an_action_that_changes_nothing_is_unnecessary() -> None:
    judged = findings(episode([("wait", "start"), ("walk", "hall"), ("out", "")], stop=Stop.MAX_TURNS))
    assert judged[0] == Finding(0, UNNECESSARY, "changed nothing")
    assert 1 not in judged


def test_the_same_action_in_the_same_place_is_unnecessary_and_elsewhere_is_not() -> None:
    steps = [("north", "hall"), ("north", "yard"), ("south", "gate"), ("x", "start"), ("north", "attic"), ("y", "")]
    judged = findings(episode(steps, stop=Stop.TRUNCATED))
    assert judged[4] == Finding(4, UNNECESSARY, "done before in the same place")
    assert 1 not in judged


def test_a_way_that_leads_in_circles_is_unnecessary() -> None:
    judged = findings(episode([("a", "hall"), ("b", "yard"), ("c", "hall"), ("d", "gate")], stop=Stop.ERROR))
    assert judged == {2: Finding(2, UNNECESSARY, "led back to what was seen before")}


@pytest.mark.parametrize("stop", [Stop.TRUNCATED, Stop.MAX_TURNS, Stop.MAX_TOKENS])
def test_running_out_of_turns_is_a_failure(stop: Stop) -> None:
    judged = findings(episode([("a", "hall"), ("b", "yard")], stop=stop))
    assert judged == {1: Finding(1, FAILED, "the episode ran out of turns")}


@pytest.mark.parametrize(
    ("reward", "finding"),
    [
        (1.0, Finding(1, USEFUL, "ended the episode with success")),
        (0.25, Finding(1, FAILED, "ended the episode with reward 0.25")),
    ],
)
def test_the_end_is_judged_by_the_reward(reward: float, finding: Finding) -> None:
    assert findings(episode([("a", "hall"), ("b", "bye")], reward=reward)) == {1: finding}


@pytest.mark.parametrize("stop", [Stop.TERMINATED, Stop.TRUNCATED, Stop.MAX_TURNS])
@pytest.mark.parametrize("success", [True, False])
def test_the_end_is_judged_by_success_where_the_environment_reports_it(stop: Stop, success: bool) -> None:
    played = episode([("a", "hall"), ("b", "bye")], reward=0.5 if success else 3.0, stop=stop)
    last = replace(played.turns[-1], info={"success": success})
    (finding,) = findings(replace(played, turns=(*played.turns[:-1], last))).values()
    assert finding.verdict is (USEFUL if success else FAILED)
    idle = replace(last, observation="hall")
    if stop is not Stop.TERMINATED:  # what changes nothing did not bring the success about
        (finding,) = findings(replace(played, turns=(*played.turns[:-1], idle))).values()
        assert finding.verdict is UNNECESSARY


@settings(max_examples=50)
@given(st.lists(trajectories(env_id=st.sampled_from(["webshop", "maze"])), max_size=2))
def test_any_trajectory_gets_findings_about_turns_that_it_has(played: list[Trajectory]) -> None:
    diagnoses = RulesReflector().reflect(played)
    assert len(diagnoses) == len(played)
    for trajectory, diagnosis in zip(played, diagnoses, strict=True):
        assert {finding.turn for finding in diagnosis.findings} <= set(range(len(trajectory.turns)))
        assert all(finding.verdict for finding in diagnosis.findings)


def test_silence_is_not_a_sign_that_nothing_changed() -> None:
    judged = findings(episode([("a", ""), ("b", ""), ("c", "")], start="", stop=Stop.ERROR))
    assert judged == {}
