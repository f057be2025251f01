"""Environments in gymnasium's wrappers play, evaluate and train as they do without."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium import wrappers

import hero.envs
from hero import registry
from hero.distill.learners import Distillation
from hero.envs.base import TextEnv, text_env
from hero.envs.space import AnyText
from hero.errors import ConfigError
from hero.evaluate import evaluate
from hero.plan import Plan
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.runs.writer import Run
from hero.train import Training
from hero.types import Stop, Tools
from tests.doubles import GuessEnv, GuessTrainer

Env = gymnasium.Env[str, str]
TASKS = [Task(index, index) for index in range(5)]
RED = FunctionPolicy(lambda messages: "red")


class Shop(GuessEnv):
    """An environment with tools and a no-op reward."""

    tools = Tools((), "Play.")

    def noop_reward(self, task: int) -> float | None:
        return 0.25


TRANSPARENT: dict[str, Callable[[Env], Env]] = {
    "TimeLimit": lambda env: wrappers.TimeLimit(env, 50),
    "OrderEnforcing": wrappers.OrderEnforcing,
    "PassiveEnvChecker": wrappers.PassiveEnvChecker,
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "Autoreset": wrappers.Autoreset,
    "TransformReward": lambda env: wrappers.TransformReward(env, lambda reward: reward),
    "ClipReward": lambda env: wrappers.ClipReward(env, 0.0, 1.0),
    "TransformAction": lambda env: wrappers.TransformAction(env, lambda action: action, AnyText()),
    "TransformObservation": lambda env: wrappers.TransformObservation(env, lambda page: page, AnyText()),
    "StickyAction": lambda env: wrappers.StickyAction(env, 0.0),
    "several": lambda env: wrappers.TimeLimit(wrappers.OrderEnforcing(wrappers.PassiveEnvChecker(env)), 50),
}


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_wrapped_environment_is_copied_with_its_wrappers(twin: Callable[[Any], Any]) -> None:
    class Copied(Shop):
        """Says itself how it is copied."""

        def __deepcopy__(self, memo: dict[int, Any]) -> Copied:
            return Copied()

    for inner in (Shop(), Copied()) if twin is copy.deepcopy else (Shop(),):
        env = text_env(wrappers.TimeLimit(inner, 2))
        again = twin(env)
        assert (again.env_id, again.noop_reward(0)) == (env.env_id, 0.25)
        again.reset(options={"task": 1})
        assert [again.step("red")[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_a_wrapper_that_changes_nothing_changes_nothing(kind: str) -> None:
    wrapped = [TRANSPARENT[kind](Shop()) for _ in range(2)]
    assert rollout(wrapped, RED, TASKS, max_turns=3) == rollout([Shop()], RED, TASKS, max_turns=3)
    assert evaluate(wrapped, RED, TASKS, max_turns=3) == evaluate([Shop()], RED, TASKS, max_turns=3)


def test_changes_of_a_wrapper_show_in_the_episode() -> None:
    (short,) = rollout([wrappers.TimeLimit(Shop(), 1)], RED, [Task(1, 0)], max_turns=3)
    assert (short.stop, len(short.turns)) == (Stop.TRUNCATED, 1)
    (rich,) = rollout([wrappers.TransformReward(Shop(), lambda reward: reward + 2.0)], RED, [Task(0, 0)], max_turns=3)
    assert rich.reward == 3.0


@pytest.mark.parametrize("kind", ["several", "Autoreset"])
def test_a_run_trains_in_wrappers(tmp_path: Path, kind: str) -> None:
    plan = Plan(
        steps=1, turn_budget=None, episodes=4, group_size=2, eval_every=1, eval_tasks=3, temperature=1.0, max_turns=3,
        seed=0,
    )  # fmt: skip
    rows = []
    for index, wrap in enumerate((TRANSPARENT[kind], lambda env: env)):
        with Run.create(tmp_path / str(index), {}) as run:
            Training(
                run_dir=run, plan=plan, trainer=GuessTrainer(), reflector=RulesReflector(), learner=Distillation(),
                envs=[wrap(GuessEnv())], eval_envs=[wrap(GuessEnv("validation"))],
            ).run()  # fmt: skip
            rows.append((run.rows("steps"), run.rows("evals")))
    assert rows[0] == rows[1]


@pytest.mark.parametrize(("name", "arguments"), [("WebShop", {"level": "easy"}), ("TauBench", {"data": "embedded"})])
def test_environments_that_gymnasium_makes_are_played(name: str, arguments: dict[str, Any]) -> None:
    hero.envs.register()
    made = gymnasium.make(f"hero/{name}-v0", **arguments)
    played = rollout([made], RED, TASKS[:2], max_turns=2)
    assert played == rollout([hero.envs.make(name.lower(), **arguments)], RED, TASKS[:2], max_turns=2)
    assert all(len(trajectory.turns) == 2 for trajectory in played)


def test_an_environment_may_be_registered_in_wrappers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load", lambda group, name: lambda: TRANSPARENT["several"](Shop()))
    env = hero.envs.make("shop")
    assert (env.env_id, env.num_tasks, env.instructions, env.noop_reward(0)) == (
        "guess",
        12,
        "Guess the colour.",
        0.25,
    )
    assert text_env(env) is env


class Cart(gymnasium.Env[Any, Any]):
    """An environment of another kind."""

    num_tasks = 3


@pytest.mark.parametrize(
    "foreign", [Cart(), wrappers.OrderEnforcing(Cart()), object()], ids=["bare", "wrapped", "object"]
)
def test_other_environments_are_refused_by_name(foreign: Any) -> None:
    for play in (rollout, evaluate):
        with pytest.raises(ConfigError, match="is not a text environment: it has no env_id, instructions, tools, "):
            play([foreign], RED, TASKS, max_turns=2)


def test_a_text_environment_is_itself() -> None:
    env: TextEnv = Shop()
    assert text_env(env) is env
