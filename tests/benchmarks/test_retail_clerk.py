"""The clerk of the retail desk solves what it is asked to, and errs in the ways that it is told to."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.retail_clerk import Clerk
from hero.envs.taubench.data.locate import EMBEDDED
from hero.envs.taubench.env import TauBenchEnv
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Trajectory
from tests.envs.taubench.recorded import DATA, needs_recordings


def played(data: str | Path, *, bare: float = 0.0, no_question: float = 0.0) -> list[Trajectory]:
    env = TauBenchEnv(domain="retail", split="train", data=data, user="scripted")
    clerk = Clerk(env, random.Random(0), bare=bare, no_question=no_question)
    tasks = [Task(index, 0) for index in range(0, env.num_tasks, 4)]
    return rollout([env], FunctionPolicy(clerk), tasks, max_turns=30)


@pytest.mark.parametrize("data", [EMBEDDED, pytest.param(DATA, marks=needs_recordings)])
def test_a_careful_clerk_solves_its_tasks(data: str | Path) -> None:
    episodes = played(data)
    assert all(episode.success for episode in episodes)
    valid = [turn.info["action_valid"] for episode in episodes for turn in episode.turns]
    assert fmean(valid) > 0.99  # some of the original's right calls fail


def told(episodes: list[Trajectory], what: str) -> int:
    """Counts the findings that advise an action with a text in it, where the action had none."""
    return sum(
        what in finding.advice and what not in episode.turns[finding.turn].action.text
        for episode, diagnosis in zip(episodes, RulesReflector().reflect(episodes), strict=True)
        for finding in diagnosis.findings
    )


@pytest.mark.parametrize("data", [EMBEDDED, pytest.param(DATA, marks=needs_recordings)])
def test_a_careless_one_is_told_of_either_mistake_and_a_careful_one_of_none(data: str | Path) -> None:
    careful = played(data)
    for what, careless in (("#", played(data, bare=1.0)), ("(yes/no)?", played(data, no_question=1.0))):
        assert told(careful, what) == 0
        assert told(careless, what) >= len(careless) / 2
