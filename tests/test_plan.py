"""The plan of a run: which tasks are drawn, from which seeds, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.plan import Purpose
from tests.loop import PLAN


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 4), st.integers(1, 50))
def test_tasks_are_drawn_without_repeats_where_there_are_enough(
    seed: int, step: int, groups: int, size: int, num_tasks: int
) -> None:
    plan = replace(PLAN, seed=seed, episodes=groups * size, group_size=size)
    tasks = plan.sample_tasks(step, num_tasks)
    assert tasks == plan.sample_tasks(step, num_tasks)
    assert len(tasks) == groups * size
    assert all(0 <= task.index < num_tasks for task in tasks)
    assert all(len(set(tasks[first : first + size])) == 1 for first in range(0, len(tasks), size))
    assert [task.episode for task in tasks] == list(range(len(tasks)))
    assert len({task.index for task in tasks}) == groups or groups > num_tasks


def test_every_step_and_seed_draws_tasks_and_environment_seeds_of_its_own() -> None:
    plans = [replace(PLAN, episodes=16, group_size=2, seed=seed) for seed in range(3)]
    drawn = [plan.sample_tasks(step, 1000) for plan in plans for step in range(5)]
    assert len({tuple(task.index for task in tasks) for tasks in drawn}) == 15
    assert len({task.seed for tasks in drawn for task in tasks}) == 15 * 8  # one for each group


@given(st.integers(1, 50), st.none() | st.integers(1, 500), st.integers(0, 49), st.integers(0, 600))
def test_progress_is_the_share_of_the_limit_that_is_nearer(
    steps: int, turn_budget: int | None, step: int, turns: int
) -> None:
    both = replace(PLAN, steps=steps, turn_budget=turn_budget)
    shares = [step / steps] + ([turns / turn_budget] if turn_budget else [])
    assert both.progress(step, turns) == min(1.0, max(shares))
    assert (both.progress(step, turns) == 1.0) == both.is_done(step, turns)
    if turn_budget:
        assert replace(both, steps=None).progress(step, turns) == min(1.0, turns / turn_budget)
    assert both.progress(0, 0) == 0.0
    assert replace(PLAN, steps=0).progress(0, 0) == 1.0


def test_streams_differ_by_seed_step_and_purpose() -> None:
    streams = {
        replace(PLAN, seed=seed).seed_for(step, purpose)
        for seed in range(5)
        for step in range(20)
        for purpose in Purpose
    }
    assert len(streams) == 5 * 20 * len(Purpose)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "never ends"),
        ({"steps": -1}, "steps = -1 is negative"),
        ({"seed": -1}, "seed = -1 is negative"),
        ({"eval_every": 0}, "eval_every = 0 is too few"),
        ({"stop_when_worse": -1}, "stop_when_worse = -1 is negative"),
        ({"eval_tasks_between": 0}, "eval_tasks_between = 0 is too few"),
        ({"eval_tasks_between": 6}, "eval_tasks_between = 6 is more than eval_tasks = 5; give fewer"),
        ({"episodes": 10**20}, "episodes = 100000000000000000000 is too many"),
        ({"episodes": 10**8, "group_size": 10**8}, "episodes = 100000000 is too many"),
        ({"temperature": 0.0}, "temperature = 0.0 leaves nothing to learn from"),
        ({"temperature": math.nan}, "temperature = nan leaves nothing to learn from"),
        ({"temperature": math.inf}, "temperature = inf leaves nothing to learn from"),
        ({"group_size": 3}, "episodes = 8 cannot be split into groups of 3; give a multiple, such as 9"),
    ],
)
def test_an_impossible_plan_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PLAN, **changes)
