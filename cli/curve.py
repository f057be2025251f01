"""The learning curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hero.metrics import standing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_curve(file: Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draws success over environment turns, with 95 % bands, and marks the best step.

    Args:
        rows: rows of evals.jsonl, one per mode and evaluation; at least one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for mode, colour in (("sampled", "#0b6e99"), ("greedy", "#d9730d")):
        of_mode = [row for row in rows if row["mode"] == mode]
        turns = [row["turns"] for row in of_mode]
        value, low, high = ([100 * (row["success"][key] or 0) for row in of_mode] for key in ("value", "low", "high"))
        axes.plot(turns, value, color=colour, marker="o", markersize=4, label=mode, clip_on=False)
        axes.fill_between(turns, low, high, color=colour, alpha=0.15, linewidth=0)
    best = standing(rows).best
    axes.plot(best["turns"], 100 * best["success"]["value"], color="#0b6e99", marker="*", markersize=14, linestyle="",
              label=f"best, step {best['step']}", clip_on=False)  # fmt: skip
    axes.set(xlabel="environment turns used in training", ylabel="success on validation tasks (%)", title=title)
    axes.set(xlim=(0, max(1, max(row["turns"] for row in rows))))
    fit_percent(axes)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best")
    # Without version and date in the file, equal runs draw equal pictures.
    figure.savefig(file, dpi=150, metadata={"Software": None})


def fit_percent(axes: Axes) -> None:
    """Fits the vertical axis to the data, within 0 to 100: where successes are rare, their changes are small."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(0, bottom), min(100, top))
