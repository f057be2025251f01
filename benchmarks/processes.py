"""Measures a run that two processes share against the same run by one: `python -m benchmarks.processes`.

Both make the same steps of the embedded WebShop with one thread a process, one after the other. The first table has,
for each phase of a step, how many times as fast two processes are; the median of some repetitions. The second says how
far the run that they make is from that of one, in the first repetition. The last line is a JSON object of all figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from hero.runs.reader import latest_checkpoint, read_episodes, read_rows

PHASES: Final = ("rollout", "reflection", "update")
WAYS: Final = {
    "alone": [sys.executable, "-m", "hero_cli"],
    "shared": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "hero_cli"],
    "split": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "hero_cli"],
}


@dataclass(frozen=True)
class FinishedRun:
    """A run that was made.

    Attributes:
        seconds: of each phase, and of all together, without the first step, which warms up.
        updates: metrics of each update.
        weights: at the end, by name.
        episodes: the sampled ids of each turn of each training episode.
    """

    seconds: Mapping[str, float]
    updates: list[Mapping[str, float]]
    weights: Mapping[str, Tensor]
    episodes: list[list[tuple[int, ...]]]


def run(way: str, steps: int, episodes: int) -> FinishedRun:
    """Makes a run in one of the `WAYS`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        options = [f"--steps={steps}", f"--episodes={episodes}", "--eval-tasks=2", f"--eval-every={steps}"]
        options += ["--threads=1", f"--out={path}", *(["--shard"] if way == "split" else [])]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        subprocess.run([*WAYS[way], "run", *options], check=True, stdout=subprocess.DEVNULL, env=environment)
        rows = [row for row in read_rows(path, "timings") if row["step"] > 1]
        spent = {phase: sum(row[phase] for row in rows) for phase in PHASES}
        checkpoint = latest_checkpoint(path)
        assert checkpoint is not None
        return FinishedRun(
            spent | {"all": sum(spent.values())},
            [row["update"] for row in read_rows(path, "steps")],
            load_file(checkpoint.trainer / "model.safetensors"),
            [
                [turn.action.tokens.action_ids for turn in each.trajectory.turns if turn.action.tokens]
                for each in read_episodes(path)
            ],
        )


def distances(run: FinishedRun, other: FinishedRun) -> dict[str, float]:
    """Returns how far a run is from another one."""
    pairs = list(zip(run.updates, other.updates, strict=True))
    rate = max(update["learning_rate"] for update in other.updates if "learning_rate" in update)
    farthest = max(float((weight - other.weights[name]).abs().max()) for name, weight in run.weights.items())
    same = [mine == theirs for mine, theirs in zip(run.episodes, other.episodes, strict=True)]
    return {
        "loss, largest difference": max(abs(mine["loss"] - theirs["loss"]) for mine, theirs in pairs),
        "norm of the gradient, largest difference": max(
            abs(mine.get("grad_norm", 0.0) - theirs.get("grad_norm", 0.0)) for mine, theirs in pairs
        ),
        "weights at the end, largest difference in learning rates": farthest / rate,
        "episodes with equal tokens": sum(same) / len(same),
    }


def main(
    steps: Annotated[int, typer.Option(help="Steps of a run, of which the first does not count.", min=2)] = 4,
    episodes: Annotated[int, typer.Option(help="Episodes per step.")] = 64,
    repeats: Annotated[int, typer.Option(help="Number of repetitions.")] = 3,
) -> None:
    """Measures a run that two processes share against the same run by one."""
    measured = [
        {way: run(way, steps, episodes) for way in WAYS} for _ in track(range(repeats), "running three ways...")
    ]
    table = Table("phase", "two processes", "two processes, --shard")
    ratios = {
        phase: {
            way: median(each["alone"].seconds[phase] / each[way].seconds[phase] for each in measured)
            for way in ("shared", "split")
        }
        for phase in (*PHASES, "all")
    }
    for phase, ratio in ratios.items():
        table.add_row(phase, *(f"{value:.2f}" for value in ratio.values()))
    out = Console()
    out.print(table)
    alone = measured[0]["alone"]
    apart = {way: distances(measured[0][way], alone) for way in ("shared", "split")}
    table = Table("difference to one process", "two processes", "two processes, --shard")
    for measure in apart["shared"]:
        table.add_row(measure, *(f"{each[measure]:.2g}" for each in apart.values()))
    out.print(table)
    figures = {"episodes": episodes, "steps": steps, "ratios": ratios, "distances": apart}
    print(json.dumps({"benchmark": "processes", **figures}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
