"""Callbacks that show a run while it goes on: redrawn in a terminal, one line per step on a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from hero.callback import Callback, Phase
from hero.plan import Plan
from hero.types import Turn

from .report import evaluation_facts, evaluation_table, step_facts
from .terminal import warn

PHASES: Mapping[str, str] = {
    "rollout": "playing",
    "reflection": "reflecting",
    "update": "learning",
    "evaluation": "evaluating",
}


class CountColumn(ProgressColumn):
    """Shows how much of a bar is done, in its unit, such as `3/12 steps`; nothing where the total is unknown."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}")


class TurnCounter:
    """Counts the turns of episodes that are played side by side, to recognise the last turn of each."""

    def __init__(self, max_turns: int) -> None:
        self.max_turns = max_turns
        self.turns: Counter[int] = Counter()

    def is_last(self, episode: int, turn: Turn) -> bool:
        """Counts the turn, and returns whether it ends its episode; the index then stands for a new episode."""
        self.turns[episode] += 1
        last = "success" in turn.info or self.turns[episode] == self.max_turns
        if last:
            del self.turns[episode]
        return last


def episode_bar(bars: Progress, title: str, episodes: int, max_turns: int) -> Callable[[int, Turn], None]:
    """Adds a bar of episodes; returns what takes their turns and advances the bar at the last turn of each."""
    bar, counter = bars.add_task(title, total=episodes), TurnCounter(max_turns)

    def on_turn(episode: int, turn: Turn) -> None:
        if counter.is_last(episode, turn):
            bars.advance(bar)

    return on_turn


class LogLines(Callback):
    """Prints one plain line per step and per evaluation."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console = console
        self.plan = plan

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leaves the lines as they are."""

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self.console.print("  ".join(f"{name} {text}" for name, text in step_facts(row, self.plan).items()))

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        facts = "  ".join(f"{name} {text}" for name, text in evaluation_facts(row).items())
        self.console.print(
            f"step {row['step']}  turns used {row['turns']}  {row['mode']}  tasks {row['tasks']}  {facts}"
        )

    def on_warning(self, text: str) -> None:
        warn(self.console, text)

    def note(self, text: str) -> None:
        """Prints a text between two lines."""
        self.console.print(text, markup=False)


class LiveDisplay(LogLines):
    """Redraws in place a bar for the run, a bar for the phase, the newest step and the evaluations.

    Args:
        steps_done: number of steps that the run has taken so far.
        turns_used: number of environment turns that the run has used so far.
    """

    def __init__(self, console: Console, plan: Plan, steps_done: int, turns_used: int) -> None:
        super().__init__(console, plan)
        self.bars = Progress(
            TextColumn("{task.description:>12}"), BarColumn(), CountColumn(),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        self.by_turns = plan.steps is None
        self.run_bar = self.bars.add_task(
            "training",
            total=plan.turn_budget if self.by_turns else plan.steps,
            completed=turns_used if self.by_turns else steps_done,
            unit="turns" if self.by_turns else "steps",
        )
        self.phase_bar: TaskID | None = None
        self.turn_counter = TurnCounter(plan.max_turns)
        self.newest_step: Mapping[str, Any] | None = None
        self.evaluations: dict[int, dict[str, Mapping[str, Any]]] = {}
        self.live = Live(get_renderable=self.renderable, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._end_phase()
        self.live.stop()

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self._end_phase()
        self.turn_counter = TurnCounter(self.plan.max_turns)
        total = episodes if phase in ("rollout", "evaluation") else None
        self.phase_bar = self.bars.add_task(PHASES[phase], total=total, unit="episodes")

    def on_turn(self, episode: int, turn: Turn) -> None:
        if self.phase_bar is not None and self.turn_counter.is_last(episode, turn):
            self.bars.advance(self.phase_bar)

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self.newest_step = row
        self.bars.update(self.run_bar, completed=row["turns"] if self.by_turns else row["step"])

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self.evaluations.setdefault(row["step"], {})[row["mode"]] = row

    def _end_phase(self) -> None:
        if self.phase_bar is not None:
            self.bars.remove_task(self.phase_bar)
            self.phase_bar = None

    def renderable(self) -> Group:
        """Returns the whole display in its current state."""
        parts: list[Any] = [self.bars]
        if self.newest_step is not None:
            facts = step_facts(self.newest_step, self.plan)
            columns = (Column(name, overflow="fold") for name in facts)
            table = Table(*columns, box=None, pad_edge=False, collapse_padding=True, header_style="dim")
            table.add_row(*facts.values())
            parts.append(table)
        if self.evaluations:
            parts.append(evaluation_table(self.evaluations))
        return Group(*parts)
