"""Measures a model that a server plays for against the same model in this process.

`python -m benchmarks.served URL DIR`, where DIR is the model that the server at URL was started with, as
docs/real-models.md describes. Both play the same episodes of the embedded WebShop, 1, 8 and 16 at a time. The table has
the tokens of actions per second of both; the median of some repetitions. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import time
from statistics import median
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.envs.webshop.env import WebShopEnv
from hero.models.load import load
from hero.models.lora import add_adapter
from hero.models.served import ServedModel
from hero.rollout import Task, rollout


def rate(lm: Any, episodes: int, at_a_time: int, seed: int) -> float:
    """Returns the tokens of actions per second."""
    policy = lm.policy(temperature=0.5, seed=seed, max_new_tokens=48)
    envs = [WebShopEnv(split="train") for _ in range(at_a_time)]
    start = time.perf_counter()
    played = rollout(envs, policy, [Task(index, index) for index in range(episodes)], max_turns=10, seed=seed)
    actions = [turn.action.tokens for trajectory in played for turn in trajectory.turns]
    return sum(len(tokens.action_ids) for tokens in actions if tokens) / (time.perf_counter() - start)


def main(
    url: Annotated[str, typer.Argument(help="Address of the server, with /v1.")],
    model: Annotated[str, typer.Argument(help="Directory of the model that it serves.")],
    episodes: Annotated[int, typer.Option(help="Episodes of a rollout.")] = 32,
    repeats: Annotated[int, typer.Option(help="Rollouts of each kind.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
) -> None:
    """Measures a model that a server plays for against the same model in this process."""
    torch.set_num_threads(threads)
    lm = load(model)
    add_adapter(lm.model, rank=8)
    served = ServedModel.of(lm, url, key=os.environ.get("OPENAI_API_KEY", ""))
    table = Table("episodes at a time", "here, tokens/s", "served, tokens/s", "served / here")
    rows = {}
    for at_a_time in track((1, 8, 16), "playing..."):
        pairs = [[rate(each, episodes, at_a_time, seed) for each in (lm, served)] for seed in range(repeats)]
        here, there = (median(pair[which] for pair in pairs) for which in (0, 1))
        rows[at_a_time] = {"here": here, "served": there, "ratio": median(there / here for here, there in pairs)}
        table.add_row(str(at_a_time), f"{here:.0f}", f"{there:.0f}", f"{rows[at_a_time]['ratio']:.2f}")
    Console().print(table)
    print(json.dumps({"benchmark": "served", "episodes": episodes, "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
