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

RECIPES = {"webshop": webshop.RECIPE, "taubench": taubench.RECIPE}


def main(
    out: Annotated[Path, typer.Option(help="Where the model goes; the same command resumes a run that was cut off.")],
    env: Annotated[Literal["webshop", "taubench"], typer.Option(help="Whose embedded tasks it is for.")] = "webshop",
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the demonstrations.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    shorten: Annotated[float, typer.Option(help="Multiplies the steps of all phases, to try the recipe.")] = 1.0,
) -> None:
    """Trains a tiny policy from nothing; the state after each phase is kept beside the result."""
    torch.set_num_threads(threads)
    RECIPES[env].make(out, seed, shorten)
    typer.echo(f"The model is in {out}; `hero eval {out} --env {env}` measures it.")


if __name__ == "__main__":
    typer.run(main)
