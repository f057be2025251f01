"""Scripted episodes on catalogues that no evaluation uses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from hero.envs.webshop.env import WebShopEnv
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Message, Trajectory

FIRST_SEED = 1000
"""Catalogue seeds from here on are the recipe's own; the package trains and evaluates on seed 0."""
MAX_TURNS = 10


def shop(number: int, level: str) -> WebShopEnv:
    """The training tasks of the recipe's catalogue of that number."""
    return WebShopEnv(split="train", level=level, catalogue_seed=FIRST_SEED + number)


def play(
    env: WebShopEnv, act: Callable[[Sequence[Message]], str], episodes: int, rng: random.Random
) -> list[Trajectory]:
    tasks = [Task(rng.randrange(env.num_tasks), seed) for seed in range(episodes)]
    return rollout([env], FunctionPolicy(act), tasks, max_turns=MAX_TURNS)
