"""Shows what a run in the embedded TauBench learns: `python -m benchmarks.service RUN`.

It counts which customers are served, by what they want, and whether the policy asks before it changes anything. The
reward ignores that: a right change counts, asked or not. The last line is a JSON object.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.tiny.service_case import WISHES, Case
from hero.envs.taubench.action import parse_call
from hero.envs.taubench.answers import is_error
from hero.envs.taubench.rules.read import consents
from hero.envs.taubench.tools.domains import writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.errors import DataError
from hero.runs.reader import read_episodes
from hero.types import Trajectory
from hero_cli.terminal import report_errors

CHANGES = ("after a yes", "without", "handed over")
"""Changes of the database with and without the customer's consent, and customers who were handed over."""


def counted(trajectory: Trajectory) -> Counter[str]:
    """Counts the `CHANGES` of one episode and, if it has turns, its wish, and whether that was served.

    Raises:
        DataError: the episode is not one of the embedded shop.
    """
    if not trajectory.env_id.startswith("taubench/retail/embedded/"):
        raise DataError(f"{trajectory.env_id} is not the embedded TauBench; give a run with --env-arg data=embedded")
    counts: Counter[str] = Counter()
    agreed = False
    for turn in trajectory.turns:
        call = parse_call(turn.action.text)
        if call is None:
            agreed = consents(turn.observation)
        elif writes(call.name) and not is_error(turn.observation):
            counts["after a yes" if agreed else "without"] += 1
        elif call.name == TRANSFER:
            counts["handed over"] += 1
    if trajectory.turns:
        wish = Case(trajectory.turns[0].prompt).wish
        counts[wish] += 1
        counts[f"{wish} served"] += trajectory.success
    return counts


@report_errors
def main(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    every: Annotated[int, typer.Option(help="Training steps per row.", min=1)] = 1,
) -> None:
    """Counts, by step, whom the episodes of training served, what they changed, and who was handed over."""
    by_step: dict[int, Counter[str]] = {}
    for episode in read_episodes(run):
        by_step.setdefault((episode.step - 1) // every, Counter()).update(counted(episode.trajectory))
    if not by_step:
        raise DataError(f"{run} has no training episodes; give a run that has done a step")
    table = Table("steps to", *WISHES, *CHANGES, title="Customers served, by what they want; changes of the database")
    rows = []
    for index, counts in sorted(by_step.items()):
        served = {wish: f"{counts[f'{wish} served']}/{counts[wish]}" for wish in WISHES}
        row = {"steps to": (index + 1) * every, **served, **{name: counts[name] for name in CHANGES}}
        table.add_row(*map(str, row.values()))
        rows.append(row)
    Console(width=120).print(table)
    print(json.dumps({"benchmark": "service", "rows": rows}))  # noqa: T201


if __name__ == "__main__":
    typer.run(main)
