"""Where the time of a training step goes: `python -m benchmarks.step`.

Steps as `hero run` takes them by default. The update is split into what the teacher's forward passes take (scoring)
and the rest (the student's passes, the loss and the optimiser). Shares are medians over the steps after the first.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Annotated, Any, TypeVar

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.distill.objectives import Distillation
from hero.distill.torch_learner import TorchLearner
from hero.envs.webshop.env import WebShopEnv
from hero.policies import tiny
from hero.reflect.base import Reflector
from hero.reflect.model import ModelReflector
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Group

T = TypeVar("T")
PHASES = ("rollout", "reflection", "scoring", "update")


class Stopwatch:
    """Seconds by phase since the last `shares`.

    Args:
        teacher: each of its passes lies within an update, is counted as scoring and taken off the update.
    """

    def __init__(self, teacher: Any) -> None:
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._depth = 0
        for module in (teacher, teacher.get_decoder()):  # states come from the decoder alone
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def timed(self, phase: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        self._seconds[phase] += time.perf_counter() - began
        return result

    def shares(self) -> dict[str, float]:
        """In percent."""
        total = sum(self._seconds.values())
        shares = {phase: 100 * seconds / total for phase, seconds in self._seconds.items()}
        self._seconds = dict.fromkeys(PHASES, 0.0)
        return shares

    def _enter(self, *_: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._began = time.perf_counter()

    def _leave(self, *_: Any) -> None:
        self._depth -= 1
        if self._depth:
            return
        spent = time.perf_counter() - self._began
        self._seconds["scoring"] += spent
        self._seconds["update"] -= spent


def step(
    learner: TorchLearner, reflector: Reflector, envs: Sequence[WebShopEnv], number: int, watch: Stopwatch
) -> dict[str, float]:
    """One training step; the share of each phase in percent."""
    policy = learner.policy(temperature=0.5, seed=number)
    tasks = [Task((len(envs) * number + place) % envs[0].num_tasks, place) for place in range(len(envs))]
    played = watch.timed("rollout", lambda: rollout(envs, policy, tasks, max_turns=10))
    diagnoses = watch.timed("reflection", lambda: reflector.reflect(played))

    def update() -> None:
        examples = []
        for place, (trajectory, diagnosis) in enumerate(zip(played, diagnoses, strict=True)):
            found = Distillation().examples(Group((trajectory,)), [diagnosis])
            examples += [replace(example, episode=place) for example in found]
        learner.update(examples)

    watch.timed("update", update)
    return watch.shares()


def main(
    steps: Annotated[int, typer.Option(help="Steps that count.")] = 5,
    episodes: Annotated[int, typer.Option(help="Episodes of a step.")] = 64,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Measures the shares of rollout, reflection, teacher scoring and update, for two reflectors."""
    torch.set_num_threads(threads)
    table = Table("reflector", *PHASES, title="Median share of a training step, %")
    for name in ("rules", "self"):
        lm = tiny.load()
        learner = TorchLearner(lm, learning_rate=2e-4)
        reflector: Reflector = RulesReflector()
        if name == "self":
            reflector = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=256))
        envs = [WebShopEnv(split="train") for _ in range(episodes)]
        watch = Stopwatch(learner._teacher)
        numbers = track(range(steps + 1), f"{name}...")
        shares = [step(learner, reflector, envs, number, watch) for number in numbers][1:]
        table.add_row(name, *(f"{median(share[phase] for share in shares):.0f}" for phase in PHASES))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
