"""The plan of a run: its length, its tasks and its random numbers.

Every random number of a step comes from (seed, step, purpose), those of a policy from the episode and the turn as
well. So there is no random state to save, a resumed run equals an uninterrupted one, and an episode is the same
whatever is played with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

import numpy as np

from hero.errors import ConfigError
from hero.policy import derived_seed
from hero.rollout import Task

MAX_EPISODES: Final = 100_000
"""Maximum number of episodes per step."""


class Purpose(IntEnum):
    """The purpose of a random stream."""

    TASKS = 0
    SAMPLING = 1
    EVALUATION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule of training and evaluation.

    Attributes:
        steps: number of optimiser steps; None for as many as the turn budget allows.
        turn_budget: number of environment turns in training episodes after which no step begins; None for no limit.
        episodes: number of episodes per step, at most `MAX_EPISODES`.
        group_size: number of episodes that share a task; divides `episodes`.
        eval_every: number of steps between evaluations, besides those at the start and the end.
        eval_tasks: number of tasks of the evaluation split to evaluate on at the start and the end, sampled and greedy.
        temperature: sampling temperature in training and in the sampled evaluation.
        max_turns: maximum number of turns per episode.
        eval_tasks_between: number of these tasks to evaluate on in between, sampled alone, from the first on, so that
            all evaluations can be paired; None for all of them.
        stop_when_worse: number of evaluations in a row far below the best one, after which the run stops; 0 for no
            such limit.
        max_tokens: maximum number of tokens per episode; None for the context of the policy.
        save_every: number of steps between checkpoints, besides those of evaluations.
        min_valid_actions: share of valid actions in the first evaluation below which the run ends at once, since it has
            nothing to learn from; 0 for no such limit.
        when_few_follow: whether the run stops when the teacher does not follow the diagnoses any more, or only warns.

    Raises:
        ConfigError: a number is out of its range, or `group_size` does not divide `episodes`.
    """

    steps: int | None
    turn_budget: int | None
    episodes: int
    group_size: int
    eval_every: int
    eval_tasks: int
    temperature: float
    max_turns: int
    seed: int
    eval_tasks_between: int | None = None
    stop_when_worse: int = 0
    when_few_follow: Literal["stop", "warn"] = "stop"
    max_tokens: int | None = None
    save_every: int = 1
    min_valid_actions: float = 0.0

    def __post_init__(self) -> None:
        if self.steps is None and self.turn_budget is None:
            raise ConfigError("a run without steps and without a turn budget never ends; give one of them")
        for name in (
            "episodes",
            "group_size",
            "eval_every",
            "eval_tasks",
            "eval_tasks_between",
            "max_turns",
            "max_tokens",
            "save_every",
        ):
            if (number := getattr(self, name)) is not None and number < 1:
                raise ConfigError(f"{name} = {number} is too few; give at least 1")
        if self.tasks_between > self.eval_tasks:
            raise ConfigError(
                f"eval_tasks_between = {self.tasks_between} is more than eval_tasks = {self.eval_tasks}; give fewer"
            )
        if self.episodes > MAX_EPISODES:
            raise ConfigError(
                f"episodes = {self.episodes} is too many, since a step keeps them all; give at most {MAX_EPISODES:,}"
            )
        for name in ("steps", "turn_budget", "stop_when_worse", "seed"):
            if (getattr(self, name) or 0) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} is negative; give 0 or more")
        if not 0 <= self.min_valid_actions <= 1:
            raise ConfigError(f"min_valid_actions = {self.min_valid_actions} is not a share; give 0 to 1")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"temperature = {self.temperature} leaves nothing to learn from; give more than 0, 1 is usual"
            )
        if self.episodes % self.group_size:
            raise ConfigError(
                f"episodes = {self.episodes} cannot be split into groups of {self.group_size}; "
                f"give a multiple, such as {self.group_size * max(1, round(self.episodes / self.group_size))}"
            )

    @property
    def tasks_between(self) -> int:
        """Number of tasks of an evaluation between start and end."""
        return self.eval_tasks if self.eval_tasks_between is None else self.eval_tasks_between

    def is_done(self, step: int, turns: int) -> bool:
        """Returns whether the run ends after `step` steps and `turns` environment turns."""
        steps_done = self.steps is not None and step >= self.steps
        return steps_done or (self.turn_budget is not None and turns >= self.turn_budget)

    def progress(self, step: int, turns: int) -> float:
        """Returns the share of the run that is done after `step` steps and `turns` environment turns, from 0 to 1.

        Where both are limited it is the larger of the two shares.
        """
        limits = ((step, self.steps), (turns, self.turn_budget))
        return max((min(1.0, done / limit) if limit else 1.0) for done, limit in limits if limit is not None)

    def sample_tasks(self, step: int, num_tasks: int) -> list[Task]:
        """Draws the tasks of a step, with their episodes numbered and siblings side by side.

        No task is drawn twice unless there are fewer tasks than groups.
        """
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step, Purpose.TASKS)))
        groups = self.episodes // self.group_size
        indices = random.choice(num_tasks, size=groups, replace=groups > num_tasks)
        seeds = random.integers(2**31, size=groups)
        tasks = [pair for pair in zip(indices.tolist(), seeds.tolist(), strict=True) for _ in range(self.group_size)]
        return [Task(index, seed, episode) for episode, (index, seed) in enumerate(tasks)]

    def seed_for(self, step: int, purpose: Purpose) -> int:
        """Returns the seed of the random numbers for one purpose in one step."""
        return derived_seed(self.seed, step, purpose)
