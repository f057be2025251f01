"""Metrics of the episodes of a step, and of what a reflector found in them."""

from __future__ import annotations

import pytest

from hero.metrics import reflection_metrics, rollout_metrics
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory, Turn, Verdict
from tests.doubles import GuessEnv


def test_metrics_come_from_the_end_of_episodes() -> None:
    trajectories = rollout([GuessEnv()], FunctionPolicy(lambda _: "red"), [Task(0, 0), Task(1, 0)], max_turns=3)
    assert [trajectory.metrics for trajectory in trajectories] == [{"colour": 1.0}, {"colour": 0.0}]
    assert rollout_metrics(trajectories)["metrics"] == {"colour": 0.5}
    cut = rollout([GuessEnv()], FunctionPolicy(lambda _: "red"), [Task(1, 0)], max_turns=2)
    assert (cut[0].metrics, rollout_metrics(cut)["metrics"]) == ({}, {})
    assert rollout_metrics([*trajectories, *cut])["metrics"] == {"colour": 0.5}


def turn(reward: float = 0.0, *, cut_off: bool = False, **info: bool | int) -> Turn:
    return Turn((Message("user", "?"),), Action("a", cut_off=cut_off), "o", reward, info=info)


EPISODES = [
    Trajectory(
        "env",
        "0",
        0,
        (turn(action_valid=False, drift_tokens=3), turn(1.0, cut_off=True, action_valid=True, success=True)),
        Stop.TERMINATED,
    ),
    Trajectory("env", "1", 0, (turn(action_valid=True, drift_tokens=4),), Stop.ERROR, "boom"),
    Trajectory("env", "2", 0, (turn(action_valid=True), *[turn(action_valid=False)] * 2), Stop.MAX_TURNS),
    Trajectory(
        "env",
        "3",
        0,
        (turn(action_valid=True, tool_call=False), turn(cut_off=True, tool_call=True, action_valid=True)),
        Stop.TRUNCATED,
    ),
]


def test_rollout_metrics_are_means_over_episodes_and_counts_of_trouble() -> None:
    assert rollout_metrics(EPISODES) == {
        "episodes": 4,
        "success": 1 / 4,
        "score": 25.0,
        "turns_per_episode": 8 / 4,
        "valid_actions": pytest.approx((1 / 2 + 1 + 1 / 3 + 1) / 4),
        "tool_calls_per_episode": 1 / 4,
        "metrics": {},
        "cut_off_actions": 2,
        "drift_tokens": 7,
        "errors": 1,
    }


def test_reflection_metrics_are_shares_of_turns_and_of_episodes() -> None:
    empty = Finding(1, None)
    findings = [
        (Finding(0, Verdict.INVALID), Finding(1, Verdict.USEFUL)),
        (),
        (empty, Finding(2, None, "why")),
        (empty,),
    ]
    diagnoses = [Diagnosis("me", several, tokens=10) for several in findings]
    pairs = list(zip(EPISODES, diagnoses, strict=True))
    assert reflection_metrics(pairs) == {
        "turns_with_finding": 3 / 8,
        "episodes_with_finding": 2 / 4,
        "tokens": 40,
    }
