"""Success of all cells at equal numbers of environment turns, by seed and task.

Shapes: S seeds of a cell, T tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from hero.comparison.cells import Cell
from hero.comparison.crossed import Array, difference_interval, share_interval
from hero.comparison.curve import SuccessByTask
from hero.errors import RunError
from hero.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Success:
    """Success of cells on the same tasks.

    Attributes:
        tasks: the tasks.
        values: values [S, T] by the name of the cell; a cell of which no run has got there is absent.
        seeds: the seeds of the rows of each.
    """

    tasks: tuple[str, ...]
    values: Mapping[str, Array]
    seeds: Mapping[str, tuple[int, ...]]

    @classmethod
    def at_budget(cls, cells: Sequence[Cell], budget: float) -> Self:
        """Reads off all runs that have got to a budget of environment turns, on the tasks that all these have.

        Raises:
            RunError: they have no task in common.
        """
        return cls.of_runs({cell.name: {run.seed: run.curve.at_budget(budget) for run in cell.runs} for cell in cells})

    @classmethod
    def at(cls, cell: Cell, turns: float, tasks: Collection[str]) -> Self:
        """Reads off one cell after a number of turns, on those of its tasks that are among `tasks`."""
        curves = {run.seed: run.curve.at(turns) for run in cell.runs}
        return cls.of_runs(
            {
                cell.name: {
                    seed: None if success is None else {task: success[task] for task in tasks if task in success}
                    for seed, success in curves.items()
                }
            }
        )

    @classmethod
    def of_runs(cls, cells: Mapping[str, Mapping[int, SuccessByTask | None]]) -> Self:
        """Puts the success of runs together, on the tasks that all have.

        Args:
            cells: the success of each run by its seed, by the name of the cell; None for a run that has not got there.

        Raises:
            RunError: they have no task in common.
        """
        there = {
            name: rows
            for name, runs in cells.items()
            if (rows := {seed: success for seed, success in runs.items() if success is not None})
        }
        tasks = common_tasks([success for rows in there.values() for success in rows.values()])
        values = {
            name: np.array([[success[task] for task in tasks] for success in rows.values()])
            for name, rows in there.items()
        }
        return cls(tuple(tasks), values, {name: tuple(rows) for name, rows in there.items()})

    def of(self, name: str) -> Estimate | None:
        """Returns the success of a cell; None where no run of it has got there."""
        return share_interval(self.values[name]) if name in self.values else None

    def shared_seeds(self, name: str, other: str) -> list[int]:
        """Returns the seeds of two cells that have both got there."""
        return [seed for seed in self.seeds.get(name, ()) if seed in self.seeds.get(other, ())]

    def difference(self, name: str, other: str) -> Estimate | None:
        """Returns the success of a cell minus that of another, over the seeds of both; None where there are none."""
        shared = self.shared_seeds(name, other)
        if not shared:
            return None
        values, others = (
            self.values[each][[self.seeds[each].index(seed) for seed in shared]] for each in (name, other)
        )
        return difference_interval(values, others)


def common_tasks(successes: Sequence[SuccessByTask]) -> list[str]:
    """Returns the tasks that all have, in the order of the first; empty for none.

    Raises:
        RunError: there are some, but they have no task in common.
    """
    tasks = [task for task in (successes[0] if successes else ()) if all(task in each for each in successes)]
    if successes and not tasks:
        raise RunError("these runs have no validation task in common; compare runs of one environment and its options")
    return tasks


def curve_tasks(cells: Sequence[Cell]) -> list[str]:
    """Returns the tasks that all evaluations of all runs have.

    Raises:
        RunError: they have no task in common.
    """
    return common_tasks([success for cell in cells for run in cell.runs for success in run.curve.success])


def default_budgets(cells: Sequence[Cell]) -> tuple[int, ...]:
    """Returns a third, two thirds and the whole of the smallest turn budget of a cell: the largest of its runs.

    Without any it is the smallest number of turns after which a run that trains was evaluated last.
    """
    runs = [run for cell in cells for run in cell.runs]
    of_cells = [max(run.settings["turn_budget"] or 0 for run in cell.runs) for cell in cells]
    budgets = [budget for budget in of_cells if budget]
    whole = min(budgets or [run.curve.end for run in runs if run.curve.end] or [0])
    return tuple(sorted({round(whole / 3), round(2 * whole / 3), whole} - {0} or {0}))
