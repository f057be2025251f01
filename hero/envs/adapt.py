"""Serves adapters of other packages' environments: seeds as tasks, and a fence around global randomness."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

import numpy as np

from hero.envs.base import StepResult, TextEnv
from hero.envs.validate import require_integer, require_one_of

FIRST_SEEDS: Final[Mapping[str, int]] = {"train": 0, "validation": 10**6, "test": 2 * 10**6}
"""Seed of the first task of each split."""
MAX_TASKS: Final = 10**6


class RandomFence:
    """Gives a block of code the global random generators of Python and NumPy for itself.

    What the block draws continues from where the last block of the same fence ended, and the rest of the process keeps
    its own state. It is not for several threads at a time, which share the generators.
    """

    def __init__(self) -> None:
        self._inside = random.getstate(), np.random.get_state()

    @contextmanager
    def inside(self, seed: int | None = None) -> Iterator[None]:
        """Runs the block inside.

        Args:
            seed: seed of both generators, 0 or more; None to go on.
        """
        outside = random.getstate(), np.random.get_state()
        if seed is None:
            random.setstate(self._inside[0])
            np.random.set_state(self._inside[1])
        else:
            random.seed(seed)
            np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            self._inside = random.getstate(), np.random.get_state()
            random.setstate(outside[0])
            np.random.set_state(outside[1])


class SeededEnv(TextEnv):
    """Serves as the base of adapters whose tasks are seeds: write `start` and `act` in place of `begin` and `apply`.

    Task i of a split is whatever the other package makes of the seed `FIRST_SEEDS[split] + i`, so that the splits share
    no seed. Both methods have the global random generators of Python and NumPy for themselves, seeded with the task: a
    package that draws from them is repeatable, and disturbs nothing.

    Args:
        split: train, validation or test.
        tasks: number of tasks of the split.

    Raises:
        ConfigError: there is no such split, or `tasks` is not an integer from 1 to `MAX_TASKS`.
    """

    def __init__(self, *, split: str = "train", tasks: int = 1000, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        require_one_of("split", split, FIRST_SEEDS)
        require_integer("tasks", tasks, 1, MAX_TASKS)
        self.split, self.num_tasks = split, tasks
        self._fence = RandomFence()

    def start(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        """Starts the task of a seed; returns the first observation and more public facts, as `TextEnv.begin`."""
        raise NotImplementedError

    def act(self, action: str) -> StepResult:
        """Carries out an action, any string, as `TextEnv.apply`."""
        raise NotImplementedError

    @final
    def begin(self, task: int) -> tuple[str, Mapping[str, Any]]:
        seed = FIRST_SEEDS[self.split] + task
        with self._fence.inside(seed):
            return self.start(seed)

    @final
    def apply(self, action: str) -> StepResult:
        with self._fence.inside():
            return self.act(action)
