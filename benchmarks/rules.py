"""Measures how often the rules reflector is right about WebShop: `python -m benchmarks.rules`.

Shoppers with one habit each play; then every finding is compared with the hidden goal, which the reflector never sees.
A turn is *good* if it leads towards a purchase of full reward. Advice is right if it would have been good.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.rules_shoppers import HABITS, Habit, Oracle, Shopper
from hero.distill.turns import FAULTS
from hero.envs.webshop.actions import parse_action
from hero.envs.webshop.env import WebShopEnv
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Finding, Trajectory, Verdict

COLUMNS: Final = (
    *("turns", "bad turns", "of these faulted", "advised", "advice right", "fault right", "praise right"),
    "needed clicks faulted",
)


@dataclass
class Tally:
    """Counts of turns and findings."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, good: bool | None, verdict: Verdict | None, advice: bool | None, advised: bool) -> None:
        """Counts one turn.

        Args:
            good: whether it led towards full reward; None for a matter of taste.
            verdict: verdict of the finding; None without a finding.
            advice: whether the advice would have been good; None for a matter of taste or no advice.
            advised: whether there was advice.
        """
        faulted = verdict in FAULTS
        self.counts["turns"] += 1
        self.counts["bad"] += good is False
        self.counts["bad, faulted"] += good is False and faulted
        self.counts["bad, advised"] += good is False and advised
        self.counts["faulted"] += faulted and good is not None
        self.counts["praised"] += verdict is Verdict.USEFUL and good is not None
        self.counts["praised, good"] += verdict is Verdict.USEFUL and good is True
        self.counts["advised"] += advised and advice is not None
        self.counts["advised, right"] += advised and advice is True

    def add_needed(self, oracle: Oracle, trajectory: Trajectory, findings: Mapping[int, Finding]) -> None:
        """Counts the clicks that a purchase of full reward needed; they count as faulted if all equal clicks are.

        The environment must be in the state before the purchase.
        """
        findings_of: dict[str, list[Finding | None]] = {}
        for index, turn in enumerate(trajectory.turns):
            if (
                (command := parse_action(turn.action.text))
                and command.verb == "click"
                and oracle.needed(command.argument)
            ):
                findings_of.setdefault(command.argument, []).append(findings.get(index))
        self.counts["needed"] += len(findings_of)
        self.counts["needed, faulted"] += sum(
            all(finding is not None and finding.verdict in FAULTS for finding in equal)
            for equal in findings_of.values()
        )

    def share(self, part: str, whole: str) -> str:
        return f"{100 * self.counts[part] / self.counts[whole]:.1f} %" if self.counts[whole] else "-"

    def cells(self) -> list[str]:
        """Returns the cells of a row, in the order of `COLUMNS`."""
        counts = self.counts
        return [
            str(counts["turns"]),
            str(counts["bad"]),
            self.share("bad, faulted", "bad"),
            self.share("bad, advised", "bad"),
            f"{self.share('advised, right', 'advised')} of {counts['advised']}",
            f"{self.share('bad, faulted', 'faulted')} of {counts['faulted']}",
            f"{self.share('praised, good', 'praised')} of {counts['praised']}",
            f"{counts['needed, faulted']} of {counts['needed']}",
        ]


def measure(env: WebShopEnv, habits: tuple[Habit, ...], episodes: int, seed: int) -> tuple[Tally, list[str]]:
    """Plays, reflects, and replays the episodes for the oracle; returns the tally and a text per wrong finding."""
    rng = random.Random(seed)
    oracle, tally, wrong = Oracle(env), Tally(), []
    tasks = [Task(rng.randrange(env.num_tasks), seed) for seed in range(episodes)]
    shopper = Shopper(oracle, habits, rng)
    played = rollout([env], FunctionPolicy(shopper), tasks, max_turns=15)
    for task, trajectory, diagnosis in zip(tasks, played, RulesReflector().reflect(played), strict=True):
        env.reset(seed=task.seed, options={"task": task.index})
        findings = {finding.turn: finding for finding in diagnosis.findings}
        for index, turn in enumerate(trajectory.turns):
            finding, action = findings.get(index), turn.action.text
            advice = finding.advice if finding else ""
            good, right = oracle.good(action), oracle.good(advice) if advice else None
            tally.add(good, finding.verdict if finding else None, right, bool(advice))
            if right is False or (finding and finding.verdict is Verdict.USEFUL and good is False):
                wrong.append(f"{oracle.goal.text}\n  {turn.prompt[-1].content[:1500]}\n  {action} -> {finding}")
            if index == len(trajectory.turns) - 1 and trajectory.reward >= 1:
                tally.add_needed(oracle, trajectory, findings)
            env.step(action)
    return tally, wrong


def main(
    data: Annotated[Path | None, typer.Option(help="Directory of the original's files.")] = None,
    human: Annotated[bool, typer.Option("--human", help="Human instructions of the original's files.")] = False,
    level: Annotated[str, typer.Option(help="Level of the embedded catalogue.")] = "medium",
    episodes: Annotated[int, typer.Option(help="Episodes per habit.")] = 300,
    wrong: Annotated[int, typer.Option(help="Number of wrong findings to print per habit.")] = 0,
) -> None:
    """Prints one row per habit."""
    console = Console()
    table = Table("habit", *COLUMNS)
    kind: dict[str, Any] = {"split": "test", "goals": "human"} if human else {}
    env = WebShopEnv(data=data, level=level, **kind)
    for name, habits in HABITS.items():
        tally, mistakes = measure(env, habits, episodes, seed=0)
        table.add_row(name, *tally.cells())
        for mistake in mistakes[:wrong]:
            console.print(f"[{name}] {mistake}", markup=False, highlight=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
