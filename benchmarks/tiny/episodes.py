"""Plays scripted episodes, on catalogues and in worlds that no evaluation uses."""

from __future__ import annotations

import random

from hero.envs.base import TextEnv
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.webshop.env import WebShopEnv
from hero.policy import FunctionPolicy, Script
from hero.rollout import Task, rollout
from hero.types import Trajectory

FIRST_SEED = 1000
"""First seed of the recipes' own catalogues and worlds; the package trains and evaluates on seed 0."""
MAX_TURNS = {"webshop": 10, "taubench": 15}
"""Turn limit by environment, whose name is `env_id` up to the first slash."""


def shop(index: int, level: str) -> WebShopEnv:
    """Returns a shop with the training tasks of one of the recipe's catalogues."""
    return WebShopEnv(split="train", level=level, catalogue_seed=FIRST_SEED + index)


def desk(index: int) -> TauBenchEnv:
    """Returns a service desk with the training tasks of one of the recipe's worlds."""
    return TauBenchEnv(data="embedded", split="train", world_seed=FIRST_SEED + index)


def play(env: TextEnv, act: Script, episodes: int, rng: random.Random) -> list[Trajectory]:
    """Plays episodes of tasks that are drawn at random."""
    tasks = [Task(rng.randrange(env.num_tasks), seed) for seed in range(episodes)]
    return rollout([env], FunctionPolicy(act), tasks, max_turns=MAX_TURNS[env.env_id.partition("/")[0]])
