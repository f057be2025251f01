"""Advantages of turns, against the equations of the paper written out with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.distill.gigpo import GiGPO, discounted_returns
from hero.distill.learners import EPSILON, GRPO
from hero.errors import ConfigError
from hero.types import Action, Group, Message, Stop, Tokens, Trajectory, Turn
from tests.distill.trajectories import REWARDS

Visits = list[tuple[str, float]]


def walk(visits: Visits) -> Trajectory:
    """Returns an episode of one turn for each state and the reward after it."""
    tokens = Tokens((1,), (2, 0), (-0.5, -0.1))
    turns = tuple(
        Turn((Message("system", str(turn)), Message("user", state)), Action("a", tokens), "", reward)
        for turn, (state, reward) in enumerate(visits)
    )
    return Trajectory("env", "task", 0, turns, Stop.TERMINATED)


walks = st.lists(st.lists(st.tuples(st.sampled_from("xyz"), REWARDS), min_size=1, max_size=4), min_size=2, max_size=5)


def centred(values: np.ndarray[Any, Any], scale: bool) -> np.ndarray[Any, Any]:
    if len(values) < 2 or np.ptp(values) == 0:
        return np.zeros_like(values)
    centre: np.ndarray[Any, Any] = values - values.mean()
    return centre / (values.std(ddof=1) + EPSILON) if scale else centre


@given(walks, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.3, 1.0]), st.booleans())
def test_the_advantage_is_that_of_the_episode_and_weighted_that_of_the_turn(
    played: list[Visits], discount: float, weight: float, scale: bool
) -> None:
    group = Group(tuple(map(walk, played)))
    totals = centred(np.array([member.reward for member in group.members]), scale)
    where = [(episode, turn) for episode, visits in enumerate(played) for turn in range(len(visits))]
    states = np.array([played[episode][turn][0] for episode, turn in where])
    values = np.array(
        [
            sum(discount ** (later - turn) * played[episode][later][1] for later in range(turn, len(played[episode])))
            for episode, turn in where
        ]
    ).round(9)  # values that differ by rounding alone are equal
    expected = np.array([totals[episode] for episode, _ in where])
    for state in set(states):
        expected[states == state] += weight * centred(values[states == state], scale)
    examples = GiGPO(weight=weight, discount=discount, scale_rewards=scale).examples(group, [])
    if not np.allclose(expected, 0, atol=1e-9):
        assert [example.policy_gradient for example in examples] == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert [example.episode for example in examples] == [episode for episode, _ in where]


@given(st.lists(REWARDS, max_size=5), st.floats(0, 1))
def test_returns_are_discounted_sums(rewards: list[float], discount: float) -> None:
    expected = [
        sum(reward * discount**delay for delay, reward in enumerate(rewards[turn:])) for turn in range(len(rewards))
    ]
    returns = discounted_returns(walk([("x", reward) for reward in rewards]), discount)
    assert returns == pytest.approx(expected)


@given(walks)
def test_states_that_are_met_once_leave_the_advantages_of_grpo(played: list[Visits]) -> None:
    apart = [
        [(f"{episode} {turn}", reward) for turn, (_, reward) in enumerate(visits)]
        for episode, visits in enumerate(played)
    ]
    group = Group(tuple(map(walk, apart)))
    assert GiGPO(clip=0.3).examples(group, []) == GRPO(clip=0.3).examples(group, [])


def test_a_shorter_way_to_an_equal_reward_is_better() -> None:
    group = Group((walk([("x", 1.0)]), walk([("x", 0.0), ("y", 1.0)])))
    assert GRPO().examples(group, []) == []
    short, long, after = GiGPO(scale_rewards=False, discount=0.5).examples(group, [])
    assert (short.policy_gradient, long.policy_gradient, after.policy_gradient) == (0.25, -0.25, 0.0)


@pytest.mark.parametrize("options", [{"discount": 1.1}, {"discount": -0.1}, {"weight": 0.0}, {"weight": float("inf")}])
def test_options_that_are_not_possible_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} = .* is not possible"):
        GiGPO(**options)  # type: ignore[arg-type]
