"""Measures rollouts of an environment that waits: an episode at a time in each thread, against turns in lock-step.

`python -m benchmarks.waiting`: a step takes as long as the answer of a user at an endpoint may, drawn from an
exponential distribution; nothing is computed meanwhile. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.envs.base import StepResult, TextEnv
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout


class WaitingRoom(TextEnv):
    """Answers after a while; episodes end after a number of turns that differs between tasks.

    Args:
        mean: mean of the time that a step takes, in seconds.
    """

    env_id = "waiting-room"
    num_tasks = 1_000

    def __init__(self, mean: float, *, waits: bool) -> None:
        super().__init__()
        self.mean, self.waits = mean, waits

    def begin(self, task: int) -> tuple[str, Mapping[str, Any]]:
        """Draws the number of turns."""
        self._left = int(self.np_random.integers(2, 20))
        return "Please wait.", {}

    def apply(self, action: str) -> StepResult:
        """Waits."""
        time.sleep(self.np_random.exponential(self.mean))
        self._left -= 1
        return StepResult("Thank you.", terminated=self._left == 0, success=True)


def seconds(mean: float, episodes: int, at_a_time: int, *, waits: bool) -> float:
    """Returns the time of a rollout."""
    envs = [WaitingRoom(mean, waits=waits) for _ in range(at_a_time)]
    start = time.perf_counter()
    rollout(envs, FunctionPolicy(lambda messages: "ok"), [Task(n, n) for n in range(episodes)], max_turns=30)
    return time.perf_counter() - start


def main(
    mean: Annotated[float, typer.Option(help="Mean time of a step, in milliseconds.")] = 10.0,
    episodes: Annotated[int, typer.Option(help="Number of episodes.")] = 64,
    repeats: Annotated[int, typer.Option(help="Rollouts of each kind, whose median counts.")] = 3,
) -> None:
    """Measures rollouts of an environment that waits."""
    table = Table("episodes at a time", "lock-step / threads")
    rows = {}
    for at_a_time in track((4, 16, 64), "waiting..."):
        pairs = [
            [seconds(mean / 1000, episodes, at_a_time, waits=waits) for waits in (False, True)] for _ in range(repeats)
        ]
        rows[at_a_time] = median(together / apart for together, apart in pairs)
        table.add_row(str(at_a_time), f"{rows[at_a_time]:.1f}")
    Console().print(table)
    print(json.dumps({"benchmark": "waiting", "mean_ms": mean, "episodes": episodes, "ratios": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
