"""How the diagnoses of a run change while it trains: `python -m benchmarks.reviews RUN`.

Holds what was said of each turn against what `rules` says of the same turn, by training steps. Shows why a run falls
apart whose reviewer is the policy itself: wrong actions that are called useful are learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hero.errors import DataError
from hero.reflect.model import ModelReflector
from hero.reflect.rules import LIMITS, RulesReflector
from hero.runs.reader import Episode, read_episodes
from hero.types import Diagnosis, Verdict
from hero_cli.model import ModelChoice, load_model
from hero_cli.settings import stored_settings
from hero_cli.terminal import polite


def kind(diagnosis: Diagnosis, turn: int) -> str:
    """What a diagnosis says of a turn: useful, wrong, or nothing."""
    verdict = next((finding.verdict for finding in diagnosis.findings if finding.turn == turn), None)
    return "nothing" if verdict is None else "useful" if verdict is Verdict.USEFUL else "wrong"


def compared(episodes: Sequence[Episode]) -> dict[str, str]:
    """Shares, over the turns of some episodes."""
    rules = RulesReflector().reflect([episode.trajectory for episode in episodes])
    pairs = Counter(
        (kind(rule, turn), kind(episode.diagnosis, turn))
        for episode, rule in zip(episodes, rules, strict=True)
        for turn in range(len(episode.trajectory.turns))
    )

    def share(by_rules: str, said: str) -> str:
        of = sum(count for (rule, _), count in pairs.items() if rule == by_rules)
        return f"{100 * pairs[by_rules, said] / of:.0f} %" if of else ""

    def percent(count: int) -> str:
        return f"{100 * count / len(episodes):.0f} %"

    return {
        "success": percent(sum(episode.trajectory.success for episode in episodes)),
        "cut off": percent(sum(episode.trajectory.stop in LIMITS for episode in episodes)),
        "useful, called so": share("useful", "useful"),
        "useful, called wrong": share("useful", "wrong"),
        "wrong, called so": share("wrong", "wrong"),
        "wrong, called useful": share("wrong", "useful"),
    }


@polite
def main(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    every: Annotated[int, typer.Option(help="Steps of a row.", min=1)] = 6,
    one_in: Annotated[int, typer.Option(help="Look at one in so many episodes.", min=1)] = 1,
    again: Annotated[
        bool,
        typer.Option("--again", help="Hold what the policy that the run began with says of them against the rules."),
    ] = False,
) -> None:
    """Compares the diagnoses of a run with those of the rules."""
    episodes = list(read_episodes(run))[::one_in]
    if not episodes:
        raise DataError(f"{run} has no training episodes; give a run that has done a step")
    if again:
        reflector = ModelReflector(load_model(ModelChoice(stored_settings(run).model), 256).policy(temperature=0.0))
        diagnoses = reflector.reflect([episode.trajectory for episode in episodes])
        episodes = [replace(old, diagnosis=new) for old, new in zip(episodes, diagnoses, strict=True)]
    by_step: dict[int, list[Episode]] = {}
    for episode in episodes:
        by_step.setdefault((episode.step - 1) // every, []).append(episode)
    rows = {number: compared(episodes) for number, episodes in sorted(by_step.items())}
    table = Table(
        "steps", *next(iter(rows.values())), title="Turns by the verdict of rules, and what the run's reviewer said"
    )
    for number, row in rows.items():
        table.add_row(f"{number * every + 1} to {max(e.step for e in by_step[number])}", *row.values())
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
