"""Makes the policies that ship with the package: `python -m benchmarks.tiny --env webshop --out DIR`.

Each knows better than it acts, as an instruct model does: its recipe teaches first what is right, and then habits that
cost success, while reviews of episodes and answers to hindsight stay right.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from benchmarks.tiny import taubench, webshop
from benchmarks.tiny.log import print_step

CHECKS = {
    "webshop": "--env webshop",
    "webshop-hard": "--env webshop --env-arg level=hard",
    "taubench": "--env taubench",
}
RECIPES = {"webshop": webshop.RECIPE, "webshop-hard": webshop.HARD, "taubench": taubench.RECIPE}


def main(
    out: Annotated[Path, typer.Option(help="Directory for the model; the same command goes on after an interruption.")],
    env: Annotated[
        Literal["webshop", "webshop-hard", "taubench"],
        typer.Option(help="Environment to act in; webshop-hard goes on from the policy that ships."),
    ] = "webshop",
    seed: Annotated[int, typer.Option(help="Seed of weights and demonstrations.")] = 0,
    threads: Annotated[int, typer.Option(help="Number of torch threads.")] = 2,
    shorten: Annotated[float, typer.Option(help="Factor on the steps of all phases, to try the recipe.")] = 1.0,
) -> None:
    """Trains a tiny policy; the state after each phase is kept beside the result."""
    torch.set_num_threads(threads)
    RECIPES[env].make(out, seed=seed, shorten=shorten, on_step=print_step)
    typer.echo(f"The model is in {out}; `hero eval {out} {CHECKS[env]}` measures it.")


if __name__ == "__main__":
    typer.run(main)
