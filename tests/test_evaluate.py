"""Evaluating a policy: what is asked of the environments first, and when the episodes show nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from hero.evaluate import evaluate, hopeless
from hero.outcomes import Outcome
from hero.policy import FunctionPolicy
from hero.rollout import Task
from hero.types import Message, Stop
from tests.doubles import GuessEnv


def test_no_op_rewards_are_read_before_anything_is_played() -> None:
    class Odd(GuessEnv):
        worth: object = np.float32(0.5)

        def noop_reward(self, task: int) -> float | None:
            return self.worth  # type: ignore[return-value]

    played: list[str] = []

    def act(messages: Sequence[Message]) -> str:
        played.append(messages[-1].content)
        return "red"

    env, tasks = Odd(), [Task(0, 0), Task(1, 0)]
    record = evaluate([env], FunctionPolicy(act), tasks, max_turns=3).record()
    assert json.loads(json.dumps(record, allow_nan=False))["noop_reward"] == 50
    played.clear()
    env.worth = math.nan
    with pytest.raises(ValueError, match="noop_reward must give a finite number or None, not nan"):
        evaluate([env], FunctionPolicy(act), tasks, max_turns=3)
    assert played == []


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ([("", 1), ("", 0), ("boom", 0)], ""),
        ([("boom", 2), ("bang", 0)], "each of 2 episodes ended in an error, the first in: boom"),
        ([("", 0), ("boom", 0)], "1 of 2 episodes ended in an error, and the others had no turn, the first in: boom"),
        ([("", 0), ("", 0)], "none of 2 episodes had a turn"),
    ],
)
def test_episodes_without_a_result_are_called_hopeless(ends: list[tuple[str, int]], why: str) -> None:
    outcomes = [
        Outcome("task", False, 0.0, turns, 0.0, Stop.ERROR if error else Stop.MAX_TOKENS, error)
        for error, turns in ends
    ]
    assert hopeless(outcomes).startswith(why)
    assert bool(hopeless(outcomes)) == bool(why)
