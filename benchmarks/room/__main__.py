"""Trains on an environment that the package does not ship, with a base that is weak there: `python -m benchmarks.room`.

    python -m benchmarks.room base --out BASE          makes the base, in minutes
    python -m benchmarks.room train BASE --out RUN     trains it; --learner, --turn-gate and others are options

It shows whether the teacher, shown the right action, takes it (`followed`) or repeats the fault (`repeated`).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.room.base import MAX_TURNS, RECIPE
from benchmarks.room.env import LockedRoom
from benchmarks.room.script import Reviewer
from benchmarks.tiny.log import print_step
from hero import registry
from hero.distill.trainer import TorchTrainer
from hero.models import tiny
from hero.plan import Plan
from hero.runs.reader import read_rows, read_summary
from hero.runs.writer import Run
from hero.train import Training
from hero_cli.progress import LogLines
from hero_cli.terminal import report_errors

app = typer.Typer(add_completion=False, help=__doc__)
console = Console()
FOLLOW = ("followed", "repeated", "turns_faulted", "turns_gated", "loss", "teacher_gap")


@app.command()
def base(
    out: Annotated[Path, typer.Option(help="Directory for the model.")],
    seed: Annotated[int, typer.Option(help="Seed of weights and demonstrations.")] = 0,
) -> None:
    """Makes the base."""
    RECIPE.make(out, seed=seed, on_step=print_step)


@app.command()
@report_errors
def train(
    model: Annotated[Path, typer.Argument(help="Directory of the base.")],
    out: Annotated[Path, typer.Option(help="Directory for the run.")],
    learner: Annotated[str, typer.Option(help="distill or grpo.")] = "distill",
    learning_rate: Annotated[float, typer.Option(help="Learning rate of AdamW.")] = 5e-4,
    turn_gate: Annotated[str, typer.Option(help="follow, verdict or none.")] = "follow",
    teacher_weights: Annotated[str, typer.Option(help="ema, live or frozen.")] = "ema",
    divergence: Annotated[str, typer.Option(help="reverse_kl, forward_kl or jensen_shannon.")] = "reverse_kl",
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of tasks and samples.")] = 0,
) -> None:
    """Trains the base, and shows by step whether the teacher follows."""
    settings: dict[str, Any] = {
        "learner": learner, "learning_rate": learning_rate, "turn_gate": turn_gate, "teacher_weights": teacher_weights,
        "divergence": divergence, "steps": steps, "seed": seed,
    }  # fmt: skip
    torch.manual_seed(seed)
    plan = Plan(
        steps=steps, turn_budget=None, episodes=64, group_size=8 if learner == "grpo" else 1, eval_every=5,
        eval_tasks=200, temperature=0.5, max_turns=MAX_TURNS, seed=seed, stop_when_worse=2,
    )  # fmt: skip
    trainer: Any = TorchTrainer(
        tiny.load(model), learning_rate=learning_rate, turn_gate=turn_gate, teacher_weights=teacher_weights,
        divergence=divergence,
    )  # type: ignore[arg-type]  # fmt: skip
    with Run.create(out, settings) as run:
        Training(
            run_dir=run,
            plan=plan,
            trainer=trainer,
            reflector=None if learner == "grpo" else Reviewer(),
            learner=registry.build("hero.learners", learner),
            envs=[LockedRoom() for _ in range(64)],
            eval_envs=[LockedRoom(split="validation") for _ in range(64)],
            callback=LogLines(console, plan),
        ).run()
    console.print(_table(out))
    if reason := read_summary(out).get("stopped"):
        console.print(f"stopped: {reason}", markup=False)


def _table(run: Path) -> Table:
    """Returns success and the follow rates of each step."""
    table = Table("step", "turns", "success", *FOLLOW, box=None)
    for row in read_rows(run, "steps"):
        update = row["update"]
        facts = (f"{update[name]:.3g}" if name in update else "" for name in FOLLOW)
        table.add_row(str(row["step"]), str(row["turns"]), f"{100 * row['rollout']['success']:.0f} %", *facts)
    return table


if __name__ == "__main__":
    app()
