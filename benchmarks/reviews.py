"""Compares the diagnoses of a run with the rules and with the hidden state: `python -m benchmarks.reviews RUN`.

It shows by training steps why a run falls apart whose reviewer is the policy itself: wrong actions that are called
useful are learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from hero.errors import DataError
from hero.quality import IsRight, diagnosis_metrics, labels_of
from hero.reflect.model import ModelReflector
from hero.reflect.rules import LIMITS, RulesReflector
from hero.runs.reader import Episode, read_config, read_episodes
from hero.types import Diagnosis, Verdict
from hero_cli.build import make_envs
from hero_cli.model import ModelChoice, load_checkpoint
from hero_cli.resolve import stored_settings
from hero_cli.terminal import report_errors

SHARES: Final = {
    "faults_found": "wrong by label, called so",
    "faults_praised": "wrong by label, called useful",
    "verdicts_right": "verdicts right",
    "advice_right": "advice right",
}
"""Titles of the metrics of `hero.quality` that are shown."""


def judgement(diagnosis: Diagnosis, turn: int) -> str:
    """Returns the judgement of a turn: useful, wrong, or nothing."""
    verdict = next((finding.verdict for finding in diagnosis.findings if finding.turn == turn), None)
    return "nothing" if verdict is None else "useful" if verdict is Verdict.USEFUL else "wrong"


def compare(episodes: Sequence[Episode], is_right: IsRight) -> dict[str, str]:
    """Returns shares of the turns of some episodes, by the judgement of the rules and that of the run's reflector.

    The last columns are those of `SHARES` by the labels of the environment; "" where it gives none.
    """
    diagnoses_by_rules = RulesReflector().reflect([episode.trajectory for episode in episodes])
    pairs = Counter(
        (judgement(by_rules, turn), judgement(episode.diagnosis, turn))
        for episode, by_rules in zip(episodes, diagnoses_by_rules, strict=True)
        for turn in range(len(episode.trajectory.turns))
    )

    def share(by_rules: str, by_reflector: str) -> str:
        total = sum(count for (rule, _), count in pairs.items() if rule == by_rules)
        return f"{100 * pairs[by_rules, by_reflector] / total:.0f} %" if total else ""

    def percent(count: int) -> str:
        return f"{100 * count / len(episodes):.0f} %"

    return {
        "success": percent(sum(episode.trajectory.success for episode in episodes)),
        "cut off": percent(sum(episode.trajectory.stop in LIMITS for episode in episodes)),
        "useful, called so": share("useful", "useful"),
        "useful, called wrong": share("useful", "wrong"),
        "wrong, called so": share("wrong", "wrong"),
        "wrong, called useful": share("wrong", "useful"),
        **against_labels(episodes, is_right),
    }


def against_labels(episodes: Sequence[Episode], is_right: IsRight) -> dict[str, str]:
    """Returns the `SHARES` of some episodes in words."""
    labels = (labels_of(is_right, episode.trajectory, episode.diagnosis) for episode in episodes)
    metrics = diagnosis_metrics(zip((episode.diagnosis for episode in episodes), labels, strict=True))
    return {title: f"{100 * metrics[name]:.0f} %" if name in metrics else "" for name, title in SHARES.items()}


@report_errors
def main(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    every: Annotated[int, typer.Option(help="Training steps per row.", min=1)] = 6,
    one_in: Annotated[int, typer.Option(help="Read every Nth episode only.", min=1)] = 1,
    again: Annotated[
        bool,
        typer.Option("--again", help="Have the episodes reviewed again, by the policy that the run started with."),
    ] = False,
) -> None:
    """Compares the diagnoses of a run with those of the rules and with the hidden state."""
    settings = stored_settings(run)
    episodes = list(read_episodes(run))[::one_in]
    if not episodes:
        raise DataError(f"{run} has no training episodes; give a run that has done a step")
    if again:
        lm, _ = load_checkpoint(ModelChoice(settings.model))
        reflector = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=256), own_ids=True)
        diagnoses = reflector.reflect([episode.trajectory for episode in episodes])
        episodes = [replace(episode, diagnosis=new) for episode, new in zip(episodes, diagnoses, strict=True)]
    by_step: dict[int, list[Episode]] = {}
    for episode in episodes:
        by_step.setdefault((episode.step - 1) // every, []).append(episode)
    arguments = settings.env_args | read_config(run).provenance.get("env", {}).get("arguments", {})
    (env,) = make_envs(settings.env, "train", 1, arguments)
    rows = {index: compare(episodes, env.is_right) for index, episodes in sorted(by_step.items())}
    title = "Turns by the verdict of the rules or the label of the environment, and by that of the run's reflector"
    table = Table("steps", *next(iter(rows.values())), title=title)
    for index, row in rows.items():
        table.add_row(f"{index * every + 1} to {max(episode.step for episode in by_step[index])}", *row.values())
    Console(width=160).print(table)


if __name__ == "__main__":
    typer.run(main)
