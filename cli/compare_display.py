"""Show how the runs of a comparison go: a table that is redrawn in a terminal, lines on a pipe."""

from __future__ import annotations

from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from .compare_plan import PlannedRun
from .compare_runs import Status, Statuses

MARKS: Final = {
    "waiting": ("·", "dim"),
    "running": ("…", "cyan"),
    "finished": ("", "green"),
    "failed": ("failed", "red"),
    "stopped": ("stopped", "yellow"),
}
"""What stands for each state of a run beside its success, and in which style."""


class ComparisonLines:
    """Prints a plain line when a run begins, is evaluated, or ends."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown: dict[PlannedRun, Status] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leaves the lines as they are."""

    def show(self, statuses: Statuses) -> None:
        """Prints what is new."""
        for run, status in statuses.items():
            before = self.shown.get(run, status if status.state in ("waiting", "finished") else Status("waiting"))
            if (before.state, before.success) != (status.state, status.success):
                self.note(f"{run.name}  {status.state}  {_facts(run, status)}")
        self.shown = dict(statuses)

    def note(self, text: str) -> None:
        """Prints a text between two lines."""
        self.console.print(text, markup=False)


class ComparisonTable(ComparisonLines):
    """Redraws in place a line for each run that goes on or has failed, and a table of all cells and seeds.

    The table is last, since a terminal that is too low cuts off the end.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.live = Live(get_renderable=self.renderable, console=console, refresh_per_second=2)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.live.stop()

    def show(self, statuses: Statuses) -> None:
        """Takes what the next redraw shows."""
        self.shown = dict(statuses)

    def renderable(self) -> Group:
        """Returns the whole display in its current state."""
        seeds = sorted({run.seed for run in self.shown})
        columns = (Column(f"seed {seed}", overflow="fold") for seed in seeds)
        table = Table("sampled success of", *columns, box=None, pad_edge=False, header_style="dim")
        for cell in dict.fromkeys(run.cell for run in self.shown):
            by_seed = {run.seed: status for run, status in self.shown.items() if run.cell == cell}
            table.add_row(Text(cell), *(_mark(by_seed[seed]) for seed in seeds))
        lines = [
            Text(f"{run.name}  {_facts(run, status)}", "red" if status.error else "")
            for run, status in self.shown.items()
            if status.state in ("running", "failed")
        ]
        done = sum(status.state == "finished" for status in self.shown.values())
        return Group(Text(f"{done} of {len(self.shown)} runs finished", "dim"), *lines, table)


def _mark(status: Status) -> Text:
    """Returns what is shown of a run in the table."""
    mark, style = MARKS[status.state]
    success = "" if status.success is None else f"{100 * status.success:.1f} %"
    return Text(f"{success} {mark}".strip(), style)


def _facts(run: PlannedRun, status: Status) -> str:
    """Returns how far a run is, or why it failed."""
    if status.error:
        return status.error
    steps, budget = run.settings.steps, run.settings.turn_budget
    facts = [
        f"step {status.step}" + ("" if steps is None else f" of {steps}"),
        f"turns {status.turns:,}" + ("" if budget is None else f" of {budget:,}"),
    ]
    return "  ".join(facts + ([] if status.success is None else [f"success {100 * status.success:.1f} %"]))
