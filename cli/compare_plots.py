"""Pictures of a comparison: success over turns, success at each budget, and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hero.comparison.cells import Cell
from hero.comparison.success import Success, curve_tasks

from .compare_tables import mean_cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hero.intervals import Estimate

POINTS: Final = 49
"""Numbers of turns at which a curve is read off."""
SUCCESS: Final = "sampled success on validation tasks (%)"


def draw_curves(file: Path, cells: Sequence[Cell]) -> None:
    """Draws success over environment turns with 95 % bands, on the tasks of all evaluations.

    A cell that does not train is a horizontal line.
    """
    tasks = curve_tasks(cells)
    ends = [min(run.curve.end for run in cell.runs if run.curve.turns) for cell in cells]
    end = max(ends) or 1
    with _picture(file, (8, 4.8)) as (axes,):
        for cell, own_end, colour in zip(cells, ends, _colours(len(cells)), strict=True):
            turns = np.linspace(0, own_end or end, POINTS if own_end else 2)
            values = [Success.at(cell, each if own_end else 0, tasks).of(cell.name) for each in turns]
            there = [(each, value) for each, value in zip(turns.tolist(), values, strict=True) if value is not None]
            if there:
                _draw_band(axes, there, colour, cell.name, "-" if own_end else "--")
        axes.set(xlabel="environment turns used in training", ylabel=SUCCESS, xlim=(0, end), ylim=(0, 100))
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_band(axes: Axes, points: Sequence[tuple[float, Estimate]], colour: Any, label: str, style: str) -> None:
    turns = [each for each, _ in points]
    axes.plot(turns, [100 * value.value for _, value in points], style, color=colour, label=label)
    low, high = ([100 * getattr(value, key) for _, value in points] for key in ("low", "high"))
    axes.fill_between(turns, low, high, color=colour, alpha=0.12, linewidth=0)


def draw_budgets(file: Path, cells: Sequence[Cell], at: Mapping[int, Success]) -> None:
    """Draws success at each budget with 95 % intervals, the cells side by side."""
    with _picture(file, (8, 4.8)) as (axes,):
        for index, (cell, colour) in enumerate(zip(cells, _colours(len(cells)), strict=True)):
            offset = 0.7 * ((index + 0.5) / len(cells) - 0.5)
            there = [
                (place + offset, value) for place, success in enumerate(at.values()) if (value := success.of(cell.name))
            ]
            values = np.array([[100 * getattr(value, key) for key in ("value", "low", "high")] for _, value in there])
            if there:
                middle, low, high = values.T
                errors = (middle - low, high - middle)
                axes.errorbar([x for x, _ in there], middle, errors, fmt="o", color=colour, capsize=3, label=cell.name)
        axes.set(xlabel="environment turns used in training", ylabel=SUCCESS, ylim=(0, 100))
        axes.set_xticks(range(len(at)), [f"{turns:,}" for turns in at])
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def draw_cost(file: Path, cells: Sequence[Cell]) -> None:
    """Draws tokens and seconds of a run of each cell."""
    costs = [mean_cost(cell) for cell in cells]
    parts = {
        "tokens of a run (thousands)": {
            "policy": [cost.policy_tokens / 1000 for cost in costs],
            "reflector": [cost.reflector_tokens / 1000 for cost in costs],
            "teacher": [cost.teacher_tokens / 1000 for cost in costs],
        },
        "seconds of a run": {
            "training": [cost.training_seconds for cost in costs],
            "evaluation": [cost.evaluation_seconds for cost in costs],
        },
    }
    names = [cell.name for cell in cells]
    with _picture(file, (9, 1.6 + 0.4 * len(cells)), 2) as both:
        for axes, (label, bars) in zip(both, parts.items(), strict=True):
            left = np.zeros(len(cells))
            for (name, lengths), colour in zip(bars.items(), ("#0b6e99", "#d9730d", "#7a9e7e"), strict=False):
                axes.barh(range(len(cells)), lengths, left=left, color=colour, label=name)
                left += lengths
            axes.set(xlabel=label, ylim=(len(cells) - 0.5, -0.5))
            axes.set_yticks(range(len(cells)), names)
            axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


@contextmanager
def _picture(file: Path, size: tuple[float, float], columns: int = 1) -> Iterator[Sequence[Axes]]:
    """Makes axes side by side, and writes the picture at the end of the block."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, columns, squeeze=False, sharey=columns > 1)[0]
    yield all_axes
    for axes in all_axes:
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    # Without version and date in the file, equal comparisons draw equal pictures.
    figure.savefig(file, dpi=150, metadata={"Software": None})


def _colours(count: int) -> list[Any]:
    """Returns colours that can be told apart."""
    from matplotlib import colormaps

    return [colormaps["tab10"](index) if count <= 10 else colormaps["turbo"](index / count) for index in range(count)]
