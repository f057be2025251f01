"""Measures how often the rules reflector is right about TauBench: `python -m benchmarks.rules_taubench`.

Clerks with one habit each serve the customers of embedded worlds. Every finding is compared with a scripted clerk who
knows the right action in any state of a conversation. A turn is *bad* if that clerk would have acted otherwise, and
advice is right if that clerk would have followed it. Advice to look the order up properly before the customer is
identified is not counted: the clerk would do that later.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.rules import COLUMNS, Tally
from benchmarks.tiny.clerk import Erratic, Hasty, Wanderer, expert
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import Case
from hero.policy import Script
from hero.reflect.rules import RulesReflector
from hero.types import Finding

WORLDS: Final = 4
CLERKS: Final[dict[str, Callable[[random.Random], Script]]] = {
    "careful": lambda rng: expert,
    "leaves the # out": lambda rng: Hasty(rng, 0.95, 0.0, 0.0),
    "and then gives up": lambda rng: Hasty(rng, 0.95, 0.95, 0.0),
    "asks for no yes": lambda rng: Hasty(rng, 0.0, 0.0, 0.95),
    "errs in every fifth turn": lambda rng: Erratic(rng, 0.2),
    "errs in every second turn": lambda rng: Erratic(rng, 0.5),
    "goes round in circles": Wanderer,
}


def measure(clerk: str, episodes: int) -> Tally:
    """Plays, reflects, and compares every finding with the action that would have been right."""
    tally, rng = Tally(), random.Random(0)
    act = CLERKS[clerk](rng)
    for world in range(WORLDS):
        played = play(desk(world), act, episodes // WORLDS, rng)
        for trajectory, diagnosis in zip(played, RulesReflector().reflect(played), strict=True):
            findings = {finding.turn: finding for finding in diagnosis.findings}
            for index, turn in enumerate(trajectory.turns):
                state, finding = Case(turn.prompt), findings.get(index, Finding(index, None))
                right = state.good()
                early = finding.advice == state.look.text() != right
                advice = finding.advice == right if finding.advice and not early else None
                tally.add(turn.action.text == right, finding.verdict, advice, bool(finding.advice))
    return tally


def main(episodes: Annotated[int, typer.Option(help="Episodes per clerk.", min=WORLDS)] = 400) -> None:
    """Prints one row per clerk."""
    table = Table("clerk", *COLUMNS)
    for clerk in CLERKS:
        table.add_row(clerk, *measure(clerk, episodes).cells())
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
