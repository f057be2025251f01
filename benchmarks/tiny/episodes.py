"""Scripted episodes on catalogues and in worlds that no evaluation uses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from hero.envs.base import TextEnv
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.webshop.env import WebShopEnv
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory

FIRST_SEED = 1000
"""Seeds of catalogues and worlds from here on are the recipes' own; the package trains and evaluates on seed 0."""
MAX_TURNS = {"webshop": 10, "taubench": 12}
"""By the name that `env_id` begins with."""


def shop(number: int, level: str) -> WebShopEnv:
    """The training tasks of the recipe's catalogue of that number."""
    return WebShopEnv(split="train", level=level, catalogue_seed=FIRST_SEED + number)


def desk(number: int) -> TauBenchEnv:
    """The training tasks of the recipe's world of that number."""
    return TauBenchEnv(data="embedded", split="train", world_seed=FIRST_SEED + number)


def play(env: TextEnv, act: Callable[[Sequence[Message]], str], episodes: int, rng: random.Random) -> list[Trajectory]:
    tasks = [Task(rng.randrange(env.num_tasks), seed) for seed in range(episodes)]
    return rollout([env], FunctionPolicy(act), tasks, max_turns=MAX_TURNS[env.env_id.partition("/")[0]])
