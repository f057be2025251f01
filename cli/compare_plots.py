"""Pictures of a comparison: success over turns, success and paired differences at each budget, and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hero.comparison.cells import Cell
from hero.comparison.success import Success, curve_tasks

from .compare_tables import mean_cost
from .curve import fit_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hero.comparison.runs import RunRecord
    from hero.intervals import Estimate

POINTS: Final = 49
"""Numbers of turns at which a curve is read off besides its evaluations, since bands are no straight lines."""
SUCCESS: Final = "sampled success on validation tasks (%)"
TURNS: Final = "environment turns used in training"


def draw_curves(file: Path, cells: Sequence[Cell]) -> None:
    """Draws success over environment turns with 95 % bands, on the tasks of all evaluations.

    A curve is of the finished runs of a cell and ends with the shortest of them; while there are none, of those that
    were evaluated after their start. A cell that does not train is a horizontal line.
    """
    tasks = curve_tasks(cells)
    runs = [_drawable(cell) for cell in cells]
    ends = [min((run.curve.end for run in own), default=0) for own in runs]
    end = max(ends) or 1
    with _picture(file, (8, 4.8)) as (axes,):
        for cell, own, own_end, colour in zip(cells, runs, ends, _colours(len(cells)), strict=True):
            evaluated = [turns for run in own for turns in run.curve.turns if turns <= own_end]
            turns = np.union1d(np.linspace(0, own_end or end, POINTS if own_end else 2), evaluated)
            drawn = Cell(cell.name, own)
            values = [Success.at(drawn, each if own_end else 0, tasks).of(cell.name) for each in turns]
            there = [(each, value) for each, value in zip(turns.tolist(), values, strict=True) if value is not None]
            if there:
                label = cell.name + ("" if len(own) == len(cell.runs) else f" ({len(own)} of {len(cell.runs)} runs)")
                _draw_band(
                    axes, there, colour, _shown(label), "-" if own_end else "--", alpha=min(0.12, 0.5 / len(cells))
                )
        axes.set(xlabel=TURNS, ylabel=SUCCESS, xlim=(0, end))
        fit_percent(axes)
        _draw_legend(axes, axes)


def _drawable(cell: Cell) -> tuple[RunRecord, ...]:
    evaluated = [run for run in cell.runs if run.curve.turns]
    finished = [run for run in evaluated if run.curve.finished]
    return tuple(finished or [run for run in evaluated if run.curve.end])


def _draw_band(
    axes: Axes, points: Sequence[tuple[float, Estimate]], colour: Any, label: str, style: str, *, alpha: float
) -> None:
    turns = [each for each, _ in points]
    axes.plot(turns, [100 * value.value for _, value in points], style, color=colour, label=label)
    low, high = ([100 * getattr(value, key) for _, value in points] for key in ("low", "high"))
    axes.fill_between(turns, low, high, color=colour, alpha=alpha, linewidth=0)


def draw_budgets(file: Path, cells: Sequence[Cell], at: Mapping[int, Success], against: str) -> None:
    """Draws success at each budget, and beside it the paired difference to a cell; both with 95 % intervals.

    Args:
        against: name of the cell to which the differences are taken.
    """
    others = [cell.name for cell in cells if cell.name != against]
    with _picture(file, (12, 4.8) if others else (8, 4.8), 2 if others else 1) as all_axes:
        for index, (cell, colour) in enumerate(zip(cells, _colours(len(cells)), strict=True)):
            offset = 0.7 * ((index + 0.5) / len(cells) - 0.5)
            values = [success.of(cell.name) for success in at.values()]
            _draw_intervals(all_axes[0], values, offset, colour, _shown(cell.name))
            if cell.name in others:
                _draw_intervals(
                    all_axes[1], [each.difference(cell.name, against) for each in at.values()], offset, colour
                )
        all_axes[0].set(ylabel=SUCCESS)
        fit_percent(all_axes[0])
        for axes in all_axes[1:]:
            axes.axhline(0, color="black", linewidth=1)
            axes.set(ylabel=f"difference to {_shown(against)} in points, paired")
        for axes in all_axes:
            axes.set(xlabel=TURNS)
            axes.set_xticks(range(len(at)), [f"{turns:,}" for turns in at])
        _draw_legend(all_axes[-1], all_axes[0])


def _shown(label: str) -> str:
    """Returns a label as Matplotlib can show it: valid text, and in a legend without an underscore in front."""
    text = label.encode("utf-8", "replace").decode()
    return f" {text}" if text.startswith("_") else text


def _draw_legend(axes: Axes, drawn: Axes) -> None:
    """Draws the legend of what was drawn, right of some axes."""
    # Matplotlib would warn of a legend without lines if it looked for them itself.
    axes.legend(*drawn.get_legend_handles_labels(), frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_intervals(
    axes: Axes, estimates: Sequence[Estimate | None], offset: float, colour: Any, label: str | None = None
) -> None:
    """Draws the estimates that there are, each beside the tick of its budget."""
    there = [(tick + offset, each) for tick, each in enumerate(estimates) if each]
    if not there:
        return
    middle, low, high = np.array(
        [[100 * getattr(each, key) for key in ("value", "low", "high")] for _, each in there]
    ).T
    axes.errorbar(
        [x for x, _ in there], middle, (middle - low, high - middle), fmt="o", color=colour, capsize=3, label=label
    )


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
    names = [_shown(cell.name) for cell in cells]
    with _picture(file, (9, 1.6 + 0.4 * len(cells)), 2, sharey=True) as both:
        for axes, (label, bars) in zip(both, parts.items(), strict=True):
            left = np.zeros(len(cells))
            for (name, lengths), colour in zip(bars.items(), ("#0b6e99", "#d9730d", "#7a9e7e"), strict=False):
                axes.barh(range(len(cells)), lengths, left=left, color=colour, label=name)
                left += lengths
            axes.set(xlabel=label, ylim=(len(cells) - 0.5, -0.5))
            axes.set_yticks(range(len(cells)), names)
            axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)


@contextmanager
def _picture(
    file: Path, size: tuple[float, float], columns: int = 1, *, sharey: bool = False
) -> Iterator[Sequence[Axes]]:
    """Makes axes side by side, and writes the picture at the end of the block."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, columns, squeeze=False, sharey=sharey)[0]
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
