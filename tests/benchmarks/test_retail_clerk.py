"""The clerk of the retail desk solves what it is asked to, and errs in the ways that it is told to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.retail_clerk import Clerk
from hero.envs.taubench.answers import ORDER_NOT_FOUND, error
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
    tasks = [Task(index, 0) for index in range(0, env.num_tasks, 20)]
    return rollout([env], FunctionPolicy(clerk), tasks, max_turns=30)


@pytest.mark.parametrize("data", [EMBEDDED, pytest.param(DATA, marks=needs_recordings)])
def test_a_careful_clerk_solves_every_task_without_a_mistake(data: str | Path) -> None:
    for episode in played(data):
        assert episode.success
        assert all(turn.info["action_valid"] for turn in episode.turns)


@pytest.mark.parametrize("data", [EMBEDDED, pytest.param(DATA, marks=needs_recordings)])
def test_a_careless_one_is_told_both_of_its_mistakes(data: str | Path) -> None:
    episodes = played(data, bare=1.0)
    answers = [turn.observation for episode in episodes for turn in episode.turns]
    assert answers.count(error(ORDER_NOT_FOUND)) >= len(episodes) / 2
    hasty = played(data, no_question=1.0)
    for played_so, told in ((episodes, "#"), (hasty, "(yes/no)?")):
        diagnoses = RulesReflector().reflect(played_so)
        advised = [finding.advice for diagnosis in diagnoses for finding in diagnosis.findings if finding.advice]
        assert sum(told in advice for advice in advised) >= len(played_so) / 2
