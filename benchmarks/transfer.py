"""Evaluates the runs of a comparison elsewhere: on another level or world, and on held-out text.

    python -m benchmarks.transfer DIR --env-arg level=hard [--cells base,grpo,distill] [--against base] [--tasks 100]
    python -m benchmarks.transfer DIR --suite FILE [--cells base,grpo,distill]

DIR is what `hero compare` wrote. Each run's best checkpoint is evaluated by `hero eval`, sampled with the run's own
seed; with --suite, a file of `benchmarks.tiny.suite`, it is compared with the start of its run. The answers stay below
DIR, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hero.comparison.cells import Cell, group_by_method
from hero.comparison.runs import RunRecord, find_runs, read_run
from hero.comparison.success import Success
from hero.fingerprint import fingerprint
from hero.intervals import Estimate, t_interval
from hero.runs.reader import read_checkpoint


def main(
    folder: Path,
    env_arg: Annotated[list[str] | None, typer.Option(help="Argument of the environment. Repeat it.")] = None,
    tasks: Annotated[int | None, typer.Option(help="Number of validation tasks. [default: all]", min=1)] = None,
    against: Annotated[str, typer.Option(help="Cell to which the differences are taken. [default: the first]")] = "",
    suite: Annotated[Path | None, typer.Option(help="Held-out text instead.")] = None,
    cells: Annotated[str, typer.Option(help="Names of cells, with commas between them. [default: all]")] = "",
) -> None:
    """Evaluates the runs of a comparison and prints a table of their cells."""
    if (suite and (env_arg or tasks or against)) or not (suite or env_arg):
        raise typer.BadParameter("give --env-arg, with which --tasks and --against go, or --suite")
    by_name = {cell.name: cell for cell in group_by_method(map(read_run, find_runs([folder])))}
    names = cells.split(",") if cells else list(by_name)
    against = "" if suite else against or names[0]
    if unknown := [name for name in (*names, *([against] if against else [])) if name not in by_name]:
        raise typer.BadParameter(f"there is no cell {unknown[0]!r}; there are: {', '.join(by_name)}")
    chosen = [by_name[name] for name in dict.fromkeys([*names, *([against] if against else [])])]
    if suite:
        options, label = ["--suite", str(suite)], f"{suite.stem}-{fingerprint(suite)[:8]}"
    else:
        options = [part for each in env_arg or [] for part in ("--env-arg", each)]
        options += ["--tasks", str(tasks)] if tasks else []
        label = "-".join([*(env_arg or []), str(tasks or "all")]).replace("/", "_")
    runs = [run for cell in chosen for run in cell.runs]
    answers = {
        run.path: evaluate(run, options, folder / "transfer" / label)
        for run in track(runs, "evaluating", console=Console(stderr=True))
    }
    Console().print(suite_table(chosen, answers) if suite else success_table(chosen, answers, against))


def evaluate(run: RunRecord, options: Sequence[str], folder: Path) -> Any:
    """Returns the answer of `hero eval --json` about a run's best checkpoint, which is kept in `folder`."""
    step = read_checkpoint(run.path, "best", lambda checkpoint: checkpoint.step)
    file = folder / f"{run.path.name}-step{step}.json"
    if not file.exists():
        seed = [] if "--suite" in options else ["--seed", str(run.seed)]
        command = [sys.executable, "-m", "hero_cli", "eval", str(run.path), *options, *seed, "--json"]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_bytes(answer)
        part.rename(file)
    return json.loads(file.read_text("utf-8"))


def success_table(cells: Sequence[Cell], answers: Mapping[Path, Any], against: str) -> Table:
    """Returns success by cell in percent, over seeds and tasks together, and differences paired by both."""
    success = Success.of_runs(
        {cell.name: {run.seed: success_by_task(answers[run.path]) for run in cell.runs} for cell in cells}
    )
    table = Table("cell", "seeds", "tasks", "success %", f"difference to {against}", box=None, pad_edge=False)
    for cell in cells:
        difference = None if cell.name == against else success.difference(cell.name, against)
        seeds, tasks = str(len(cell.runs)), str(len(success.tasks))
        table.add_row(cell.name, seeds, tasks, percent(success.of(cell.name)), percent(difference, "+"))
    return table


def success_by_task(answer: Any) -> dict[str, float]:
    """Returns the success in each task of an evaluation."""
    return {each["task_id"]: float(each["success"]) for each in answer["outcomes"]}


def suite_table(cells: Sequence[Cell], answers: Mapping[Path, Any]) -> Table:
    """Returns what each cell has forgotten since its start, kind by kind, as means over seeds."""
    table = Table("cell", "seeds", "kind", "nats, start", "nats, after", "exact %", box=None, pad_edge=False)
    for cell in cells:
        measures = [answers[run.path]["measures"] for run in cell.runs]
        for kind in measures[0]["start"]:
            nats, exact = (
                {when: [each[when][kind][name]["value"] for each in measures] for when in ("start", "checkpoint")}
                for name in ("nats", "exact")
            )
            after = t_interval(nats["checkpoint"])
            table.add_row(
                cell.name,
                str(len(measures)),
                kind,
                f"{fmean(nats['start']):.3f}",
                f"{after.value:.3f} [{after.low:.3f}, {after.high:.3f}]",
                f"{100 * fmean(exact['start']):.1f} to {100 * fmean(exact['checkpoint']):.1f}",
            )
    return table


def percent(estimate: Estimate | None, sign: str = "") -> str:
    """Returns an estimate in percent; "" for None."""
    if estimate is None:
        return ""
    return f"{100 * estimate.value:{sign}.1f} [{100 * estimate.low:{sign}.1f}, {100 * estimate.high:{sign}.1f}]"


if __name__ == "__main__":
    typer.run(main)
