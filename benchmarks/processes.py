"""Measures a run that two processes share against the same run by one: `python -m benchmarks.processes`.

Both make the same steps of the embedded WebShop with one thread a process, one after the other. The table has, for each
phase of a step, how many times as fast two processes are; the median of some repetitions. The last line is a JSON
object of all figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.runs.reader import read_rows

PHASES: Final = ("rollout", "reflection", "update")
WAYS: Final = {
    "alone": [sys.executable, "-m", "hero_cli"],
    "shared": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "hero_cli"],
    "split": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "hero_cli"],
}


def seconds(way: str, steps: int, episodes: int) -> dict[str, float]:
    """Returns the time of each phase, and of all together, in a run; without its first step, which warms up."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        options = [f"--steps={steps}", f"--episodes={episodes}", "--eval-tasks=2", f"--eval-every={steps}"]
        options += ["--threads=1", f"--out={path}", *(["--shard"] if way == "split" else [])]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        subprocess.run([*WAYS[way], "run", *options], check=True, stdout=subprocess.DEVNULL, env=environment)
        rows = [row for row in read_rows(path, "timings") if row["step"] > 1]
    spent = {phase: sum(row[phase] for row in rows) for phase in PHASES}
    return spent | {"all": sum(spent.values())}


def main(
    steps: Annotated[int, typer.Option(help="Steps of a run, of which the first does not count.", min=2)] = 4,
    episodes: Annotated[int, typer.Option(help="Episodes per step.")] = 64,
    repeats: Annotated[int, typer.Option(help="Number of repetitions.")] = 3,
) -> None:
    """Measures a run that two processes share against the same run by one."""
    measured = [
        {way: seconds(way, steps, episodes) for way in WAYS} for _ in track(range(repeats), "running three ways...")
    ]
    table = Table("phase", "two processes", "two processes, --shard")
    ratios = {
        phase: {
            way: median(each["alone"][phase] / each[way][phase] for each in measured) for way in ("shared", "split")
        }
        for phase in (*PHASES, "all")
    }
    for phase, ratio in ratios.items():
        table.add_row(phase, *(f"{value:.2f}" for value in ratio.values()))
    Console().print(table)
    print(json.dumps({"benchmark": "processes", "episodes": episodes, "ratios": ratios}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
