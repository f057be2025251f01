"""Prints what the failed episodes of a comparison cost, and how valid its actions are.

    python -m benchmarks.failures DIR

DIR is what `hero compare` wrote. The numbers are of each run's last sampled evaluation, all episodes of a cell
together.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import typer
from rich.console import Console
from rich.table import Table

from hero.comparison.cells import Cell, group_by_method
from hero.comparison.runs import find_runs, read_run
from hero.evaluation import Evaluation
from hero.outcomes import Outcome
from hero.runs.reader import read_rows


def main(folder: Path) -> None:
    """Prints a table of the cells of a comparison."""
    cells = group_by_method(map(read_run, find_runs([folder])))
    Console().print(failure_table({cell.name: last_outcomes(cell) for cell in cells}))


def last_outcomes(cell: Cell) -> list[Outcome]:
    """Returns the outcomes of the last sampled evaluation of each run of a cell; empty if there is none."""
    evaluated = ([row for row in read_rows(run.path, "evals") if row["mode"] == "sampled"] for run in cell.runs)
    return [outcome for rows in evaluated if rows for outcome in Evaluation.of_record(rows[-1]).outcomes]


def failure_table(cells: dict[str, list[Outcome]]) -> Table:
    """Returns for each cell the share of failed episodes and of the turns in them, and the turns of an episode."""
    columns = ("cell", "episodes", "failed %", "of the turns %", "turns, failed", "turns, succeeded", "valid actions %")
    table = Table(*columns, box=None, pad_edge=False)
    for name, outcomes in cells.items():
        failed = [each.turns for each in outcomes if not each.success]
        succeeded = [each.turns for each in outcomes if each.success]
        if outcomes:
            table.add_row(
                name,
                str(len(outcomes)),
                f"{100 * len(failed) / len(outcomes):.0f}",
                f"{100 * sum(failed) / max(1, sum(failed) + sum(succeeded)):.0f}",
                f"{fmean(failed):.1f}" if failed else "",
                f"{fmean(succeeded):.1f}" if succeeded else "",
                f"{100 * fmean(each.valid for each in outcomes):.0f}",
            )
    return table


if __name__ == "__main__":
    typer.run(main)
