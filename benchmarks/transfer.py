"""What the runs of a comparison are worth elsewhere: on another level or world, and on held-out text.

    python -m benchmarks.transfer DIR --env-arg level=hard [--cells base,grpo,distill] [--against base]
    python -m benchmarks.transfer DIR --suite FILE [--cells base,grpo,distill]

DIR is what `hero compare` wrote. Each run's best checkpoint is evaluated by `hero eval`, sampled with the run's own
seed; --suite, a file of `benchmarks.tiny.suite`, compares it with the start of its run. The answers are kept below DIR,
so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.comparison.cells import Cell, group_by_method
from hero.comparison.crossed import Array, difference_interval, share_interval
from hero.comparison.runs import RunRecord, find_runs, read_run
from hero.intervals import Estimate, t_interval


def main(
    folder: Path,
    env_arg: Annotated[list[str] | None, typer.Option(help="Argument of the environment. Repeat it.")] = None,
    suite: Annotated[Path | None, typer.Option(help="Held-out text instead.")] = None,
    cells: Annotated[str, typer.Option(help="Names of cells, with commas between them; all by default.")] = "",
    tasks: Annotated[int, typer.Option(help="Number of validation tasks.", min=1)] = 200,
    against: Annotated[str, typer.Option(help="Cell to which the differences are taken.")] = "base",
) -> None:
    """Evaluates the runs of a comparison and prints a table of their cells."""
    if bool(suite) == bool(env_arg):
        raise typer.BadParameter("give --env-arg or --suite")
    there = group_by_method(map(read_run, find_runs([folder])))
    wanted = [cell for cell in there if cell.name in (cells.split(",") if cells else [each.name for each in there])]
    args = [part for each in env_arg or [] for part in ("--env-arg", each)]
    options = ["--suite", str(suite)] if suite else [*args, "--tasks", str(tasks)]
    name = suite.stem if suite else "-".join([*(env_arg or []), str(tasks)])
    kept = folder / "transfer" / name.replace("/", "_")
    kept.mkdir(parents=True, exist_ok=True)
    runs = [run for cell in wanted for run in cell.runs]
    answers = {
        run.path: evaluate(run, options, bool(suite), kept / f"{run.path.name}.json")
        for run in track(runs, "evaluating", console=Console(stderr=True))
    }
    Console().print(suite_table(wanted, answers) if suite else success_table(wanted, answers, against))


def evaluate(run: RunRecord, options: Sequence[str], is_suite: bool, kept: Path) -> Any:
    """Returns what `hero eval --json` prints of a run; from the file, where it is there."""
    if not kept.exists():
        seed = [] if is_suite else ["--seed", str(run.seed)]
        command = [sys.executable, "-m", "hero_cli", "eval", str(run.path), *options, *seed, "--json"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        part = kept.with_suffix(".part")
        part.write_bytes(printed)
        part.rename(kept)
    return json.loads(kept.read_text("utf-8"))


def success_table(cells: Sequence[Cell], answers: dict[Path, Any], against: str) -> Table:
    """Returns success by cell in percent, over seeds and tasks together, and the paired differences."""
    values = {cell.name: successes([answers[run.path] for run in cell.runs]) for cell in cells}
    table = Table("cell", "seeds", "tasks", "success %", f"difference to {against}", box=None, pad_edge=False)
    for name, values_ST in values.items():
        other = values.get(against)
        shared = other is not None and name != against and other.shape == values_ST.shape
        difference = percent(difference_interval(values_ST, other), "+") if shared and other is not None else ""
        seeds, tasks = values_ST.shape
        table.add_row(name, str(seeds), str(tasks), percent(share_interval(values_ST)), difference)
    return table


def successes(answers: Sequence[Any]) -> Array:
    """Returns the success [S, T] of the evaluations of a cell, tasks in the order of their names."""
    rows = [{each["task_id"]: each["success"] for each in answer["outcomes"]} for answer in answers]
    return np.array([[row[task] for task in sorted(rows[0])] for row in rows], dtype=float)


def suite_table(cells: Sequence[Cell], answers: dict[Path, Any]) -> Table:
    """Returns what each cell has forgotten since its start, kind by kind, as means over seeds."""
    table = Table("cell", "seeds", "kind", "nats, start", "nats, after", "exact %", "", box=None, pad_edge=False)
    for cell in cells:
        measures = [answers[run.path]["measures"] for run in cell.runs]
        for kind in measures[0]["start"]:
            start, after = (
                [each[when][kind]["nats"]["value"] for each in measures] for when in ("start", "checkpoint")
            )
            exact = [[each[when][kind]["exact"]["value"] for each in measures] for when in ("start", "checkpoint")]
            table.add_row(
                cell.name,
                str(len(measures)),
                kind,
                f"{fmean(start):.3f}",
                number(t_interval(after)),
                f"{100 * fmean(exact[0]):.1f} to {100 * fmean(exact[1]):.1f}",
            )
    return table


def percent(estimate: Estimate, sign: str = "") -> str:
    """Returns an estimate in percent."""
    return f"{100 * estimate.value:{sign}.1f} [{100 * estimate.low:{sign}.1f}, {100 * estimate.high:{sign}.1f}]"


def number(estimate: Estimate) -> str:
    """Returns an estimate in nats."""
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


if __name__ == "__main__":
    typer.run(main)
