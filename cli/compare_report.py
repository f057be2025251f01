"""The report on a comparison: printed, and written with all evaluations and pictures into a directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from hero.comparison.cells import Cell
from hero.comparison.runs import RunRecord
from hero.comparison.success import Success, default_budgets
from hero.errors import ConfigError, RunError
from hero.runs import durable

from . import compare_plots
from .compare_notes import notes
from .compare_tables import (
    Table,
    cost_table,
    difference_table,
    evaluations_csv,
    in_one_line,
    success_table,
    teaching_tables,
)
from .provenance import differences
from .terminal import console, show_log, warn, warn_on_error


def report(cells: Sequence[Cell], budgets: Sequence[int], against: str, folder: Path | None) -> None:
    """Prints the tables of a comparison, and writes them, the evaluations and the pictures.

    Args:
        budgets: environment turns at which to compare, ascending; empty for the usual ones.
        against: name of the cell to which the differences are taken; "" for the first.
        folder: where to write; None for nowhere.

    Raises:
        ConfigError: no cell with an evaluation has the name `against`.
        RunError: no run was evaluated, the runs have no task in common, or other tasks or models by the same names.
    """
    if against and against not in (names := [cell.name for cell in cells]):
        raise ConfigError(f"--against {against!r} is not a cell with a run; there are: {', '.join(names)}")
    missing = [cell.name for cell in cells if not any(run.curve.turns for run in cell.runs)]
    cells = [cell for cell in cells if cell.name not in missing]
    if not cells:
        raise RunError("no run has been evaluated yet, so there is nothing to compare")
    if against in missing:
        raise ConfigError(f"--against {against!r}: no run of that cell has been evaluated yet; give another")
    _require_comparable([run for cell in cells for run in cell.runs])
    at = {budget: Success.at_budget(cells, budget) for budget in budgets or default_budgets(cells)}
    against = against or cells[0].name
    tables = [success_table(cells, at)]
    if len(cells) > 1:
        tables.append(difference_table(cells, at, against))
    tables += [*teaching_tables(cells), cost_table(cells)]
    texts = notes(cells, at, against)
    if missing:
        texts.append(f"Left out, since no run has been evaluated yet: {', '.join(missing)}")
    out = console()
    for table in tables:
        out.print(f"\n{table.title}", style="dim", markup=False)
        out.print(table.rich(out.width))
    out.print("\n" + "\n".join(texts), markup=False)
    if folder is None:
        out.print("\ngive --out for the tables in Markdown, all evaluations as CSV, and pictures", markup=False)
        return
    with show_log(partial(warn, out)):
        _write(folder, cells, at, against, tables, texts)
    out.print(f"\nwritten to {folder}: comparison.md, comparison.csv, curves.png, budgets.png, cost.png", markup=False)


def _require_comparable(runs: Sequence[RunRecord]) -> None:
    """Refuses equal ids of other tasks, and equal names of other models."""
    models: dict[str | None, RunRecord] = {}
    for run in runs:
        if changes := "; ".join(differences("", runs[0].environment, run.environment)):
            raise RunError(
                f"{run.path} has other validation tasks than {runs[0].path}: {changes}; compare runs of one "
                "environment and its options"
            )
        if not run.weights:  # of a model that another package registered
            continue
        first = models.setdefault(run.settings.get("model"), run)
        if run.weights != first.weights:
            raise RunError(
                f"{run.path} started with other weights than {first.path}, though --model is the same: it has changed "
                "in between; compare runs of one model"
            )


def _write(
    folder: Path,
    cells: Sequence[Cell],
    at: Mapping[int, Success],
    against: str,
    tables: Sequence[Table],
    texts: Sequence[str],
) -> None:
    """Writes all files; a picture that cannot be drawn is a warning."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [*(table.markdown() for table in tables), "\n".join(f"- {in_one_line(text)}" for text in texts)]
    for name, text in {"comparison.md": "\n\n".join(parts) + "\n", "comparison.csv": evaluations_csv(cells)}.items():
        durable.write(folder / name, text.encode("utf-8", "replace"))  # a directory's name may be no text
    with warn_on_error("the pictures are not complete"):
        compare_plots.draw_curves(folder / "curves.png", cells)
        compare_plots.draw_budgets(folder / "budgets.png", cells, at, against)
        compare_plots.draw_cost(folder / "cost.png", cells)
