"""Measures a training step by phase, as it is and turn by turn: `python -m benchmarks.step`.

The steps are those of `hero run` by default. The update is split into the teacher's forward passes (scoring) and the
rest (the student's passes, the loss and the optimiser). A second trainer takes every step, too, with policy, student
and teacher reading each turn's whole prompt. Figures are medians over the steps after the first. The last line is a
JSON object of them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from statistics import median
from typing import Annotated, Any, TypeVar

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.episodes import turn_by_turn
from hero.distill.learners import Distillation, group_examples
from hero.distill.trainer import TorchTrainer
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.reflect.base import Reflector
from hero.reflect.model import ModelReflector
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout

T = TypeVar("T")
PHASES = ("rollout", "reflection", "scoring", "update")


class Stopwatch:
    """Counts seconds by phase since the last call of `seconds`.

    Args:
        teacher: a model; its passes, which are all part of an update, count as scoring and not as update.
    """

    def __init__(self, teacher: Any) -> None:
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._depth = 0
        for module in (teacher, teacher.get_decoder()):  # states come from the decoder alone
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave, always_call=True)  # also where a pass ends early

    def timed(self, phase: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self._seconds[phase] += time.perf_counter() - start
        return result

    def seconds(self) -> dict[str, float]:
        """Returns the seconds by phase, and sets them to 0."""
        seconds, self._seconds = self._seconds, dict.fromkeys(PHASES, 0.0)
        return seconds

    def _enter(self, *_: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._start = time.perf_counter()

    def _leave(self, *_: Any) -> None:
        self._depth -= 1
        if self._depth:
            return
        spent = time.perf_counter() - self._start
        self._seconds["scoring"] += spent
        self._seconds["update"] -= spent


def step(
    trainer: TorchTrainer, reflector: Reflector, envs: Sequence[WebShopEnv], index: int, watch: Stopwatch
) -> dict[str, float]:
    """Takes one training step and returns the seconds of each phase."""
    policy = trainer.policy(temperature=0.5)
    tasks = [Task((len(envs) * index + seed) % envs[0].num_tasks, seed) for seed in range(len(envs))]
    played = watch.timed("rollout", lambda: rollout(envs, policy, tasks, max_turns=10, seed=index))
    diagnoses = watch.timed("reflection", lambda: reflector.reflect(played))
    pairs = list(zip(played, diagnoses, strict=True))
    watch.timed("update", lambda: trainer.update(group_examples(Distillation(), pairs)))
    return watch.seconds()


def measured(reflected: str, steps: int, episodes: int) -> dict[str, dict[str, float]]:
    """Returns the median seconds of each phase, as it is and turn by turn."""
    arms = {}
    for name, reading in (("once", nullcontext), ("turn by turn", turn_by_turn)):
        lm = tiny.load()
        trainer = TorchTrainer(lm, learning_rate=2e-4)
        reflector: Reflector = RulesReflector()
        if reflected == "self":
            reflector = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=256), own_ids=True)
        envs = [WebShopEnv(split="train") for _ in range(episodes)]
        arms[name] = (reading, trainer, reflector, envs, Stopwatch(trainer._teacher.model))
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for index in track(range(steps + 1), f"{reflected}..."):
        for name, (reading, trainer, reflector, envs, watch) in arms.items():
            with reading():
                spent[name].append(step(trainer, reflector, envs, index, watch))
    return {
        name: {phase: median(seconds[phase] for seconds in taken[1:]) for phase in PHASES}
        for name, taken in spent.items()
    }


def main(
    steps: Annotated[int, typer.Option(help="Number of steps that count.")] = 5,
    episodes: Annotated[int, typer.Option(help="Number of episodes of a step.")] = 64,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Measures rollout, reflection, teacher scoring and update with two reflectors, as they are and turn by turn."""
    torch.set_num_threads(threads)
    seconds = {name: measured(name, steps, episodes) for name in ("rules", "self")}
    shares = Table("reflector", *PHASES, title="Share of a training step, %")
    ratios = Table("reflector", *PHASES, "step", title="Time turn by turn over time")
    for name, arms in seconds.items():
        once, apart = arms["once"], arms["turn by turn"]
        total = sum(once.values())
        shares.add_row(name, *(f"{100 * once[phase] / total:.0f}" for phase in PHASES))
        cells = [f"{apart[phase] / once[phase]:.2f}" if once[phase] > total / 100 else "" for phase in PHASES]
        ratios.add_row(name, *cells, f"{sum(apart.values()) / total:.2f}")
    Console().print(shares, ratios)
    print(json.dumps({"benchmark": "step", "seconds": seconds}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
