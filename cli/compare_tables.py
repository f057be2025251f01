"""Tables of a comparison for the terminal and in Markdown, and all evaluations as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from rich.table import Table as RichTable
from rich.text import Text

from hero.comparison.cells import Cell
from hero.comparison.runs import Cost, RunRecord
from hero.comparison.success import Success
from hero.intervals import Estimate

from .teaching import REVIEWS, TEACHING, Measure
from .terminal import estimate

NAME_WIDTH: Final = 12
"""Characters of a name that a line has at least, or all of a shorter one."""
GAP: Final = 2
"""Characters between two columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, one row per cell, with the name of the cell first."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Returns it in Markdown."""
        lines = [self.header, ("---", *("---:" for _ in self.header[1:])), *self.rows]
        rows = ["| " + " | ".join(map(_in_markdown, line)) + " |" for line in lines]
        return "\n".join([f"**{in_one_line(self.title)}**", "", *rows])

    def rich(self, width: int) -> RichTable:
        """Returns it for a terminal, without the title; in a narrow one intervals begin a line, so that names stay."""
        table = RichTable(box=None, pad_edge=False, header_style="dim")
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        widths[0] = min(widths[0], NAME_WIDTH)
        narrow = sum(widths) + GAP * len(widths[1:]) > width
        table.add_column(self.header[0], width=widths[0] if narrow else None, overflow="fold")
        for name in self.header[1:]:
            table.add_column(name, justify="right", no_wrap=not narrow, overflow="fold")
        for name, *texts in self.rows:
            table.add_row(Text(name), *(Text(text.replace(" [", "\n[") if narrow else text) for text in texts))
        return table


def success_table(cells: Sequence[Cell], at: Mapping[int, Success]) -> Table:
    """Returns the success of each cell at each budget.

    Args:
        at: success by budget.
    """
    rows = [(cell.name, *(_share(success.of(cell.name)) for success in at.values())) for cell in cells]
    return Table("sampled success (%) after environment turns, 95 % intervals", _header(at), tuple(rows))


def difference_table(cells: Sequence[Cell], at: Mapping[int, Success], against: str) -> Table:
    """Returns the difference of each other cell to one of them, paired by seed and task."""
    rows = [
        (cell.name, *(_share(success.difference(cell.name, against), signed=True) for success in at.values()))
        for cell in cells
        if cell.name != against
    ]
    return Table(f"difference to {against} in points, paired by seed and task", _header(at), tuple(rows))


def cost_table(cells: Sequence[Cell]) -> Table:
    """Returns what a run of each cell cost, as a mean over its finished runs, or over all while there are none."""
    rows = []
    for cell in cells:
        cost = mean_cost(cell)
        numbers = [cost.turns, cost.policy_tokens / 1000, cost.reflector_tokens / 1000, cost.teacher_tokens / 1000]
        numbers += [cost.training_seconds, cost.evaluation_seconds]
        counted, all_runs = len(costed_runs(cell)), len(cell.runs)
        runs = str(all_runs) if counted == all_runs else f"{counted} of {all_runs}"
        rows.append((cell.name, runs, *(f"{number:,.0f}" for number in numbers)))
    header = ("", "runs", "turns", "policy", "reflector", "teacher", "training s", "evaluation s")
    return Table("cost of a run: environment turns, thousands of tokens, seconds", header, tuple(rows))


def teaching_tables(cells: Sequence[Cell]) -> list[Table]:
    """Returns how right the reviews of each cell were, and what came of them, as means over its runs.

    There are no tables where no run has trained.
    """
    steps = {cell.name: [run.steps for run in cell.runs] for cell in cells}
    if not any(map(any, steps.values())):
        return []

    def table(title: str, measures: Sequence[Measure]) -> Table:
        rows = [(name, *("→".join(measure.texts(runs) or "–") for measure in measures)) for name, runs in steps.items()]
        return Table(f"first step→last: {title}", ("", *(measure.short for measure in measures)), tuple(rows))

    return [
        table("turns diagnosed, verdicts that are right, wrong turns found, advice that is right (%)", REVIEWS),
        table("advice followed (%), lift (nats), unnecessary turns an episode", TEACHING),
    ]


def costed_runs(cell: Cell) -> Sequence[RunRecord]:
    """Returns the finished runs of a cell, or all while there are none."""
    return [run for run in cell.runs if run.curve.finished] or cell.runs


def mean_cost(cell: Cell) -> Cost:
    """Returns the mean cost of these runs of a cell."""
    costs = [run.cost for run in costed_runs(cell)]
    return Cost(*(fmean(getattr(cost, name) for cost in costs) for name in Cost.__slots__))


def evaluations_csv(cells: Sequence[Cell]) -> str:
    """Returns every evaluation of every run, one per line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    measures = ("success", "score", "turns_per_episode", "valid_actions")
    writer.writerow(["cell", "seed", "step", "turns", "mode", "tasks", *_bounds(measures), "run"])
    writer.writerows(_csv_rows(cells, measures))
    return out.getvalue()


def in_one_line(text: str) -> str:
    """Returns a text, such as one with the name of a cell, without new lines."""
    return " ".join(text.splitlines())


def _in_markdown(text: str) -> str:
    """Returns a text for one field of a table."""
    return in_one_line(text.replace("\\", "\\\\").replace("|", "\\|"))


def _bounds(measures: Sequence[str]) -> list[str]:
    return [name for measure in measures for name in (measure, f"{measure}_low", f"{measure}_high")]


def _csv_rows(cells: Sequence[Cell], measures: Sequence[str]) -> Iterator[list[Any]]:
    for cell in cells:
        for run in cell.runs:
            for row in run.evals:
                values = [row[measure][key] for measure in measures for key in ("value", "low", "high")]
                yield [
                    cell.name,
                    run.seed,
                    *(row[key] for key in ("step", "turns", "mode", "tasks")),
                    *values,
                    run.path,
                ]


def _header(at: Mapping[int, Success]) -> tuple[str, ...]:
    return ("", *(f"{turns:,}" for turns in at))


def _share(value: Estimate | None, *, signed: bool = False) -> str:
    """Returns an estimate in percent; a dash where there is none."""
    if value is None:
        return "–"
    hundredfold = Estimate(100 * value.value, 100 * value.low, 100 * value.high)
    return estimate(hundredfold.record(), signed=signed)
