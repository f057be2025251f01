"""`hero compare`: learners, or any options of `hero run`, against one another at equal environment turns."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hero.comparison.cells import Cell, group_by_method
from hero.comparison.runs import find_runs, read_run
from hero.errors import ConfigError
from hero.runs.reader import is_run_dir

from .compare_cells import EXAMPLE, SWEEP_EXAMPLE, read_cells
from .compare_plan import PlannedRun, plan_runs
from .interrupt import asked_to_stop
from .logs import LogKind, require_package
from .main import INTERRUPTED
from .options import with_settings
from .settings import Settings, option
from .terminal import console, loading, report_errors, with_default

PANEL = "Comparison"


@report_errors
@with_settings
def compare(
    given: dict[str, Any],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Report on these runs, or on those in these directories, and start none.", show_default=False
        ),
    ] = None,
    learners: Annotated[
        str,
        typer.Option(help="Learners to compare, with commas between them.", rich_help_panel=PANEL, show_default=False),
    ] = "",
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Another cell of the table: its name, a colon, options of hero run, as in {EXAMPLE}. Repeat it.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Make every cell that has a use for an option once with each value, as in {SWEEP_EXAMPLE}. "
            "Repeat it for all combinations.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help=with_default("Runs of each cell, with equal seeds.", "5"),
            rich_help_panel=PANEL,
            show_default=False,
            min=1,
        ),
    ] = None,
    first_seed: Annotated[
        int | None,
        typer.Option(
            help=with_default("Seed of the first of them.", "0"), rich_help_panel=PANEL, show_default=False, min=0
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help=with_default("Runs at a time; they share the processors.", "1"),
            rich_help_panel=PANEL,
            show_default=False,
            min=1,
        ),
    ] = None,
    budgets: Annotated[
        str,
        typer.Option(
            help=with_default(
                "Environment turns to compare at, with commas between them.", "the turn budget and its thirds"
            ),
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            help=with_default("Cell to which the others' differences are taken.", "the first"),
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = "",
    log: Annotated[
        LogKind,
        typer.Option(
            help="tensorboard, wandb: what hero run --log does, for every run that starts or goes on.",
            metavar="NAME",
            rich_help_panel=PANEL,
        ),
    ] = "none",
    out: Annotated[
        Path | None,
        typer.Option(
            help=with_default("Directory of the runs and the report.", "runs/compare-ENV, or the only DIR"),
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compare learners, or any options of hero run, at equal environment turns.

    Every cell is run with the same seeds, from the same model, on the same validation tasks; all options of hero run
    apply to each cell that has a use for them. Every run has a directory, so that the same command goes on with a
    comparison that was stopped. With directories as arguments, it reports on the runs that are there.
    """
    from hero.look.notes import require_outside

    wanted = _budgets(budgets)
    if runs:
        others = {"learners": learners, "cell": cell, "sweep": sweep, "seeds": seeds}
        others |= {"first_seed": first_seed, "jobs": jobs, "log": "" if log == "none" else log}
        for name in [*given, *(name for name, value in others.items() if value not in (None, ""))]:
            raise ConfigError(f"{option(name)} does nothing for runs that exist; leave it out")
        folder = out or (runs[0] if len(runs) == 1 and not is_run_dir(runs[0]) else None)
        with loading(" ".join(map(str, runs))):
            from .compare_report import report

            if folder:
                require_outside(folder)
            read = group_by_method(map(read_run, find_runs(runs)))
        report(read, wanted, against, folder)
        return
    require_package(log)
    names = [name.strip() for name in learners.split(",") if name.strip()]
    if not (names or cell or sweep):
        raise ConfigError(
            f"there is nothing to compare; give --learners base,grpo or {EXAMPLE}, or directories of runs"
        )
    env = given.get("env", Settings().env)
    with loading(env):
        from .compare_report import report

        cells = read_cells(given, names, cell or [], sweep or [])
        if against and against not in cells:
            raise ConfigError(f"--against {against!r} is not a cell; there are: {', '.join(cells)}")
        folder = out or Path("runs") / f"compare-{env}"
        require_outside(folder)
        first, jobs = first_seed or 0, jobs or 1
        planned = plan_runs(cells, folder, range(first, first + (seeds or 5)), jobs, log)
    complete = _run(planned, folder, jobs)
    there = {name: [run.path for run in planned if run.cell == name and is_run_dir(run.path)] for name in cells}
    report([Cell(name, tuple(map(read_run, there[name]))) for name in cells], wanted, against, folder)
    if not complete:
        raise typer.Exit(1)


def _budgets(text: str) -> tuple[int, ...]:
    """Returns the budgets that a user gave, ascending; empty for none."""
    items = [item.strip().replace("_", "") for item in text.split(",") if item.strip()]
    if wrong := [item for item in items if not (item.isascii() and item.isdecimal())]:
        raise ConfigError(
            f"--budgets {text!r}: {wrong[0]!r} is not a number of turns; an example is --budgets 1000,3000"
        )
    return tuple(sorted(set(map(int, items))))


def _run(planned: Sequence[PlannedRun], folder: Path, jobs: int) -> bool:
    """Brings all runs to their end; returns whether all got there. Exits with code 130 if Ctrl-C stopped them."""
    from .compare_display import ComparisonLines, ComparisonTable
    from .compare_runs import Status, run_all

    out, errors = console(), console(errors=True)
    view = ComparisonTable(out) if out.is_interactive else ComparisonLines(out)
    statuses: Mapping[PlannedRun, Status] | None = None
    try:
        with (
            view,
            asked_to_stop(lambda: view.note("stopping after this step; Ctrl-C again stops at once")) as asked,
        ):
            statuses = run_all(planned, folder / "logs", jobs, view.show, asked)
    except KeyboardInterrupt:
        pass
    if statuses is None or asked():
        errors.print(f"stopped; go on with: {shlex.join(['hero', *sys.argv[1:]])}", markup=False)
        errors.print(f"what there is so far: {shlex.join(['hero', 'compare', str(folder)])}", markup=False)
        raise typer.Exit(INTERRUPTED)
    failed = {run: status for run, status in statuses.items() if status.state != "finished"}
    for run, status in failed.items():
        errors.print(f"{run.name} {status.state}: {status.error or 'by itself'}", style="red", markup=False)
    if failed:
        errors.print("once that is mended, the same command goes on with them", markup=False)
    return not failed
