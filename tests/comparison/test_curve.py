"""Curves are read off between evaluations, and never beyond what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.comparison.curve import Curve
from hero.evaluation import Evaluation
from hero.outcomes import Outcome
from hero.types import Stop

TASKS = ("a", "b", "c")


@st.composite
def curves(draw: st.DrawFn, *, finished: bool | None = None) -> Curve:
    """Draws a curve in which some evaluations leave some tasks out, though never the task a."""
    turns = sorted(draw(st.sets(st.integers(1, 1000), max_size=4)) | {0})
    tasks = [draw(st.sets(st.sampled_from(TASKS))) | {"a"} for _ in turns]
    success = tuple({task: draw(st.sampled_from([0.0, 0.5, 1.0])) for task in sorted(each)} for each in tasks)
    last_step = draw(st.integers(turns[-2] if len(turns) > 1 else 0, max(0, turns[-1] - 1)))
    return Curve(tuple(turns), success, last_step, draw(st.booleans()) if finished is None else finished)


@given(curves(), st.floats(0, 1200))
def test_between_evaluations_it_is_numpys_interpolation_of_each_task_of_both(curve: Curve, turns: float) -> None:
    at = curve.at(turns)
    if turns > curve.end and not curve.finished:
        assert at is None
        return
    assert at is not None
    around = [index for index, each in enumerate(curve.turns) if each <= turns][-1:]
    if turns < curve.end and turns not in curve.turns:
        around.append(around[0] + 1)
    assert at.keys() == set.intersection(*(set(curve.success[index]) for index in around))
    for task, value in at.items():
        points = [
            (each, success[task]) for each, success in zip(curve.turns, curve.success, strict=True) if task in success
        ]
        assert value == pytest.approx(np.interp(turns, *zip(*points, strict=True)))


@given(curves(finished=True))
def test_a_budget_that_the_last_step_used_up_is_read_off_at_the_end(curve: Curve) -> None:
    for budget in (curve.last_step + 1, curve.end + 1, curve.end + 1000):
        assert curve.at_budget(budget) is curve.success[-1]
    assert curve.at_budget(curve.last_step) == curve.at(curve.last_step)
    for budget in range(curve.last_step + 1, curve.end + 3):
        assert curve.over(budget) == max(curve.end - budget, 0)
    assert curve.over(curve.last_step) == 0


@given(curves(finished=False))
def test_a_run_that_goes_on_has_no_end(curve: Curve) -> None:
    assert curve.at_budget(curve.end + 1) is None
    assert curve.over(curve.last_step + 1) == 0
    assert curve.at_budget(curve.last_step) == curve.at(curve.last_step)


def test_a_run_without_evaluations_has_no_success() -> None:
    for finished in (False, True):
        curve = Curve.of_rows([], [], finished)
        assert (curve.at(0), curve.at_budget(10), curve.end) == (None, None, 0)


def test_a_curve_has_the_sampled_evaluations_of_a_run() -> None:
    def row(turns: int, mode: str, *success: bool) -> dict[str, object]:
        outcomes = [
            Outcome(task, each, 0.0, 1, 1.0, Stop.TERMINATED) for task, each in zip(TASKS, success, strict=False)
        ]
        return {"step": 0, "turns": turns, "mode": mode} | Evaluation(tuple(outcomes)).record()

    evals = [
        row(0, "sampled", True, False, False),
        row(0, "greedy", True, True, True),
        row(20, "sampled", True, True),
        row(50, "sampled", False, True, True),
        row(50, "greedy", True, True, True),
    ]
    steps = [{"turns": turns} for turns in (10, 20, 35, 50)]
    curve = Curve.of_rows(evals, steps, True)
    assert curve == Curve(
        (0, 20, 50),
        ({"a": 1.0, "b": 0.0, "c": 0.0}, {"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 1.0, "c": 1.0}),
        35,
        True,
    )
    assert curve.at(5) == {"a": 1.0, "b": 0.25}
    assert curve.at(40) == {"a": pytest.approx(1 / 3), "b": 1.0}
    assert curve.at_budget(40) == {"a": 0.0, "b": 1.0, "c": 1.0}
    assert Curve.of_rows(evals[:2], steps[:1], True).last_step == 0
