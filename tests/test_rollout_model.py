"""Episodes of a model: each samples from its own random stream, and its prompts extend a ledger within limits."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.chat.base import drift_tokens
from hero.chat.context import window
from hero.rollout import Task, rollout
from hero.types import Message, Stop, Tokens, Trajectory
from tests.dice import DiceEnv
from tests.tiny_models import random_model


def token_rollout(envs: int, seed: int = 0, max_turns: int = 4, **options: Any) -> list[Trajectory]:
    policy = random_model(context=512).policy(seed=seed, max_new_tokens=2)
    played = [Task(index, index) for index in (4, 0, 5, 6, 1)]
    return rollout([DiceEnv() for _ in range(envs)], policy, played, max_turns=max_turns, **options)


def tokens_of(trajectory: Trajectory) -> list[Tokens]:
    return [turn.action.tokens for turn in trajectory.turns if turn.action.tokens]


SAMPLED = [Task((4, 0, 5, 6, 1, 10)[index % 6], index % 3, episode=index) for index in range(16)]
"""Tasks of episodes of different lengths, siblings among them."""
LM = random_model(context=512)


def ids(trajectories: Sequence[Trajectory]) -> list[list[tuple[int, ...]]]:
    return [[tokens.action_ids for tokens in tokens_of(trajectory)] for trajectory in trajectories]


def sampled(tasks: Sequence[Task], envs: int = 16, **changes: Any) -> list[list[tuple[int, ...]]]:
    """Returns the ids of each episode, sampled by a new policy."""
    policy = replace(LM, **changes).policy(max_new_tokens=6)
    return ids(rollout([DiceEnv() for _ in range(envs)], policy, tasks, max_turns=4, seed=3))


TOGETHER = sampled(SAMPLED)


@settings(max_examples=15)
@given(st.permutations(range(16)), st.integers(1, 16), st.integers(1, 16), st.integers(1, 6 * 10**6))
def test_samples_of_an_episode_depend_on_nothing_but_itself(
    order: list[int], size: int, envs: int, kv_cache_bytes: int
) -> None:
    ids_of: dict[int, list[tuple[int, ...]]] = {}
    for first in range(0, 16, size):
        part = order[first : first + size]
        ids_of |= zip(part, sampled([SAMPLED[n] for n in part], envs, kv_cache_bytes=kv_cache_bytes), strict=True)
    assert [ids_of[n] for n in range(16)] == TOGETHER
    assert len({str(episode) for episode in TOGETHER}) == 16


def test_two_threads_may_share_a_policy() -> None:
    policy = LM.policy(max_new_tokens=6)

    def half(tasks: Sequence[Task]) -> list[list[tuple[int, ...]]]:
        return ids(rollout([DiceEnv() for _ in range(4)], policy, tasks, max_turns=4, seed=3))

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(half, (SAMPLED[:8], SAMPLED[8:]))
    assert one + other == TOGETHER


def test_an_episode_without_an_index_has_that_of_its_task() -> None:
    assert sampled([replace(task, episode=None) for task in SAMPLED]) == TOGETHER


@pytest.mark.parametrize("envs", [1, 3])
def test_every_prompt_extends_the_ledger_of_a_model(envs: int) -> None:
    trajectories = token_rollout(envs)
    assert token_rollout(envs) == trajectories
    assert token_rollout(envs, seed=1) != trajectories
    assert {turn.action.cut_off for trajectory in trajectories for turn in trajectory.turns} == {True, False}
    for trajectory in trajectories:
        assert len(tokens_of(trajectory)) == len(trajectory.turns) > 1
        for before, now in pairwise(tokens_of(trajectory)):
            assert drift_tokens(before.prompt_ids + before.action_ids, now.prompt_ids) == 0
        assert not any("drift_tokens" in turn.info for turn in trajectory.turns)


def test_drift_is_recorded_where_a_context_builder_drops_turns() -> None:
    for trajectory in token_rollout(2, build_context=window(1)):
        drifts = [turn.info.get("drift_tokens", 0) for turn in trajectory.turns]
        ledgers = tokens_of(trajectory)
        expected = [
            drift_tokens(before.prompt_ids + before.action_ids, now.prompt_ids) for before, now in pairwise(ledgers)
        ]
        assert drifts == [0, *expected]
        assert all(drift > 0 for drift in expected[1:])


@pytest.mark.parametrize("limit", [60, 90, 120, None])
def test_an_episode_ends_before_it_outgrows_its_tokens(limit: int | None) -> None:
    trajectories = token_rollout(2, max_turns=50, max_tokens=limit)
    model = random_model(context=512)
    allowed = limit or model.context_length
    assert {trajectory.stop for trajectory in trajectories} >= {Stop.MAX_TOKENS}
    for trajectory in trajectories:
        lengths = [len(tokens.prompt_ids) + 2 for tokens in tokens_of(trajectory)]
        assert all(length <= allowed for length in lengths)
        if trajectory.stop is Stop.MAX_TOKENS:
            last = trajectory.turns[-1] if trajectory.turns else None
            following = (*last.prompt, last.action.message(), Message("user", last.observation)) if last else None
            assert following is None or len(model.chat.encode(following)) + 2 > allowed
