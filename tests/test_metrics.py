"""Metrics of the episodes of a step, of what a reflector found in them, and of the evaluations of a run."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.evaluation import Evaluation
from hero.metrics import best_step, gain_since, reflection_metrics, rollout_metrics, standing, summarise
from hero.outcomes import Outcome
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


def turn(reward: float = 0.0, *, text: str = "a", cut_off: bool = False, **info: bool | int) -> Turn:
    return Turn((Message("user", "?"),), Action(text, cut_off=cut_off), "o", reward, info=info)


EPISODES = [
    Trajectory(
        "env",
        "0",
        0,
        (turn(action_valid=False, drift_tokens=3), turn(1.0, cut_off=True, action_valid=True, success=True)),
        Stop.TERMINATED,
    ),
    Trajectory("env", "1", 0, (turn(action_valid=True, drift_tokens=4),), Stop.ERROR, "boom"),
    Trajectory("env", "2", 0, (turn(action_valid=True), *[turn(text="bc", action_valid=False)] * 2), Stop.MAX_TURNS),
    Trajectory(
        "env",
        "3",
        0,
        (turn(text="bb", action_valid=True, tool_call=False), turn(cut_off=True, tool_call=True, action_valid=True)),
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
        "action_length": 11 / 8,
        "commonest_action": 5 / 8,
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
    problems = ["", "unreadable", "", ""]
    diagnoses = [
        Diagnosis("me", several, tokens=10, problem=problem)
        for several, problem in zip(findings, problems, strict=True)
    ]
    pairs = list(zip(EPISODES, diagnoses, strict=True))
    assert reflection_metrics(pairs) == {
        "turns_with_finding": 3 / 8,
        "episodes_with_finding": 2 / 4,
        "problems": 1,
        "tokens": 40,
    }


def evaluated(step: int, wins: list[bool], mode: str = "sampled") -> dict[str, Any]:
    outcomes = tuple(Outcome(f"task-{task}", won, float(won), 3, 1.0, Stop.TERMINATED) for task, won in enumerate(wins))
    return {"step": step, "turns": 10 * step, "mode": mode} | Evaluation(outcomes).record()


WINS = st.lists(st.booleans(), min_size=1, max_size=6)


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=8))
def test_the_best_step_has_the_most_sampled_success_and_is_the_first_of_equals(wins: list[list[bool]]) -> None:
    rows = [evaluated(step, won) for step, won in enumerate(wins)]
    greedy = evaluated(99, [True] * 4, "greedy")
    assert best_step([*rows, greedy]) == max(range(len(wins)), key=lambda step: (sum(wins[step]), -step))


@given(st.lists(WINS, min_size=2, max_size=8))
def test_a_step_that_has_been_beaten_is_never_the_best_again(wins: list[list[bool]]) -> None:
    rows = [evaluated(step, won) for step, won in enumerate(wins)]
    best = [best_step(rows[: last + 1]) for last in range(len(rows))]
    for newest, (before, after) in enumerate(pairwise(best), 1):
        shared = min(len(wins[before]), len(wins[newest]))
        is_better = fmean(wins[newest][:shared]) > fmean(wins[before][:shared])
        assert after == (newest if is_better else before)


def test_success_is_compared_on_the_tasks_that_two_evaluations_share() -> None:
    whole, part = evaluated(0, [True, False, True, True]), evaluated(1, [True, True])
    assert gain_since(whole, part).value == 0.5
    assert gain_since(part, whole).value == -0.5


def test_evaluations_far_below_the_best_are_counted_until_one_is_not() -> None:
    successes = [4, 20, 2, 16, 2, 3, 20]
    rows = [evaluated(step, [task < wins for task in range(20)]) for step, wins in enumerate(successes)]
    now = [standing(rows[: last + 1]) for last in range(len(rows))]
    assert [each.best["step"] for each in now] == [0, 1, 1, 1, 1, 1, 1]
    assert [each.times_worse for each in now] == [0, 0, 1, 0, 1, 2, 0]
    assert [round(each.gap.value, 9) for each in now] == [0, 0, -0.9, -0.2, -0.9, -0.85, 0]
    assert (now[3].gap.low, now[3].gap.high) < (-0.2, 0.0) < (now[3].gap.high, 0.1)


def test_the_summary_names_the_best_step_with_its_success() -> None:
    success = {0: [True, False], 4: [True, True], 8: [False, True]}
    rows = [evaluated(step, wins, mode) for step, wins in success.items() for mode in ("sampled", "greedy")]
    summary = summarise(rows)
    assert summary["best"] == {"step": 4, "turns": 40, "tasks": 2, "success": rows[2]["success"]}
    assert (summary["steps"], summary["sampled"]["gain"]["success"]["value"]) == (8, 0.0)
