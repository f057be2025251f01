"""How a run looks while it runs: live in a terminal, a line per step on a pipe and where nothing can be redrawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
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
from rich.table import Table
from rich.text import Text

from hero.callback import Callback, Phase
from hero.plan import Plan
from hero.types import Turn

from .terminal import estimate

PHASES: dict[Phase, str] = {
    "rollout": "playing",
    "reflection": "reflecting",
    "update": "learning",
    "evaluation": "evaluating",
}


class Done(ProgressColumn):
    """How much of a bar is done, in its unit; nothing where it is not known how much there is."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}")


class Endings:
    """Tells from the turns of many episodes which of them end an episode."""

    def __init__(self, max_turns: int) -> None:
        self.max_turns = max_turns
        self.played: Counter[int] = Counter()

    def ended(self, episode: int, turn: Turn) -> bool:
        """Whether the turn is the episode's last; the number of an ended episode may then stand for a new one."""
        self.played[episode] += 1
        last = "success" in turn.info or self.played[episode] == self.max_turns
        if last:
            del self.played[episode]
        return last


class Log(Callback):
    """One plain line per step and per evaluation."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console = console
        self.plan = plan

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to put away."""

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self.console.print("  ".join(f"{name} {text}" for name, text in step_facts(row, self.plan).items()))

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        name = f"step {row['step']}  turns used {row['turns']}  {row['mode']}"
        self.console.print(f"{name}  " + "  ".join(f"{key} {text}" for key, text in evaluation_facts(row).items()))

    def on_warning(self, text: str) -> None:
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    def tell(self, text: str) -> None:
        """Says something between two lines."""
        self.console.print(text, markup=False)


class Display(Log):
    """A bar for the run, a bar for the phase, the newest step and the evaluations, redrawn in place."""

    def __init__(self, console: Console, plan: Plan, started: int, used: int) -> None:
        super().__init__(console, plan)
        self.bars = Progress(
            TextColumn("{task.description:>12}"), BarColumn(), Done(),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console,
        )  # fmt: skip
        steps, unit = (plan.turn_budget, "turns") if plan.steps is None else (plan.steps, "steps")
        self.by_turns = plan.steps is None
        self.whole = self.bars.add_task(
            "training", total=steps, completed=used if self.by_turns else started, unit=unit
        )
        self.phase: TaskID | None = None
        self.endings = Endings(plan.max_turns)
        self.step: Mapping[str, Any] | None = None
        self.evaluations: dict[int, dict[str, Mapping[str, Any]]] = {}
        self.live = Live(get_renderable=self.picture, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_phase()
        self.live.stop()

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self._end_phase()
        self.endings = Endings(self.plan.max_turns)
        total = episodes if phase in ("rollout", "evaluation") else None
        self.phase = self.bars.add_task(PHASES[phase], total=total, unit="episodes")

    def on_turn(self, episode: int, turn: Turn) -> None:
        if self.phase is not None and self.endings.ended(episode, turn):
            self.bars.advance(self.phase)

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self.step = row
        self.bars.update(self.whole, completed=row["turns"] if self.by_turns else row["step"])

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self.evaluations.setdefault(row["step"], {})[row["mode"]] = row

    def _end_phase(self) -> None:
        if self.phase is not None:
            self.bars.remove_task(self.phase)
            self.phase = None

    def picture(self) -> Group:
        """All of it as it is now."""
        parts: list[Any] = [self.bars]
        if self.step is not None:
            facts = step_facts(self.step, self.plan)
            table = Table(*facts, box=None, pad_edge=False, header_style="dim")
            table.add_row(*facts.values())
            parts.append(table)
        if self.evaluations:
            parts.append(evaluation_table(self.evaluations))
        return Group(*parts)


def evaluation_table(evaluations: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> Table:
    """The first evaluation and the latest few, with 95 % intervals."""
    table = Table(
        "after step", "turns used", "success, sampled", "success, greedy", "score, sampled", "turns per episode",
        title="validation", title_justify="left", title_style="dim", header_style="dim", box=None, pad_edge=False,
    )  # fmt: skip
    steps = list(evaluations)
    for step in steps[:1] + steps[1:][-4:]:
        modes = evaluations[step]
        facts = {mode: evaluation_facts(row) for mode, row in modes.items()}
        sampled, greedy = facts.get("sampled", {}), facts.get("greedy", {})
        table.add_row(
            str(step), str(next(iter(modes.values()))["turns"]), sampled.get("success", ""), greedy.get("success", "…"),
            sampled.get("score", ""), sampled.get("turns", ""),
        )  # fmt: skip
    return table


def evaluation_facts(row: Mapping[str, Any]) -> dict[str, str]:
    """What is told of an evaluation."""
    facts = {
        "success": estimate(row["success"], percent=True),
        "score": estimate(row["score"]),
        "turns": estimate(row["turns_per_episode"]),
        "valid": estimate(row["valid_actions"], percent=True),
    }
    return facts | ({"errors": str(row["errors"])} if row["errors"] else {})


def step_facts(row: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """What is told of a step."""
    rollout, update = row["rollout"], row["update"]
    facts = {
        "step": str(row["step"]) + ("" if plan.steps is None else f"/{plan.steps}"),
        "turns used": str(row["turns"]) + ("" if plan.turn_budget is None else f"/{plan.turn_budget}"),
        "success": f"{100 * rollout['success']:.1f} %",
        "score": f"{rollout['score']:.1f}",
        "turns": f"{rollout['turns_per_episode']:.1f}",
        "diagnosed": f"{100 * row['reflection']['turns_with_finding']:.0f} %",
        "loss": f"{update['loss']:.4f}",
    }
    facts |= {name: f"{update[name]:.3g}" for name in ("mismatch", "teacher_gap") if name in update}
    return facts | ({"errors": str(rollout["errors"])} if rollout["errors"] else {})
