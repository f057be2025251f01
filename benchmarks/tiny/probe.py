"""What a policy can do before any training on it: `python -m benchmarks.tiny.probe [DIR]`.

Plays validation tasks sampled and greedily; then asks, where its sampled actions were wrong, how often the greedy
action is right without help and with each kind of hindsight; and compares its reviews with the scripted reader's.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.tiny.shopper import View, review
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.reflect.feedback import FeedbackReflector
from hero.reflect.model import ModelReflector
from hero.rollout import Task, rollout
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

MAX_TURNS = 10
console = Console()


def played(lm: LanguageModel, level: str, tasks: int, temperature: float) -> list[Trajectory]:
    envs = [WebShopEnv(split="validation", level=level) for _ in range(64)]
    policy = lm.policy(temperature=temperature, max_new_tokens=48)
    return rollout(envs, policy, [Task(index, index) for index in range(tasks)], max_turns=MAX_TURNS)


def behaviour(episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Shares in percent; an action is right if the scripted reader would have taken it."""
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for episode in episodes:
        for turn in episode.turns:
            view = View(turn.prompt)
            seen[view.page] += 1
            right[view.page] += view.is_good(turn.action.text)
    turns = [turn for episode in episodes for turn in episode.turns]
    return {
        "success": 100 * sum(episode.success for episode in episodes) / len(episodes),
        "score": 100 * sum(episode.reward for episode in episodes) / len(episodes),
        "turns": len(turns) / len(episodes),
        "valid": 100 * sum(turn.info["action_valid"] is True for turn in turns) / len(turns),
        **{f"right on {page}": 100 * right[page] / seen[page] for page in ("search", "results", "item") if seen[page]},
    }


def followed(lm: LanguageModel, episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Where an action was wrong: how often the greedy one is right, in percent, by what is shown with the prompt."""
    prompts: dict[str, list[Sequence[Message]]] = {}
    views = []
    for episode in episodes:
        feedback = FeedbackReflector().reflect([episode])[0]
        for finding in review(episode).findings:
            if finding.verdict is Verdict.USEFUL:
                continue
            views.append(View(episode.turns[finding.turn].prompt))
            prompts.setdefault("nothing", []).append(episode.turns[finding.turn].prompt)
            for name, diagnosis in {
                "verdict": Diagnosis("probe", (Finding(finding.turn, finding.verdict),)),
                "verdict and cause": Diagnosis("probe", (Finding(finding.turn, finding.verdict, finding.cause),)),
                "verdict, cause and advice": Diagnosis("probe", (finding,)),
                "observation alone": feedback,
            }.items():
                context = HindsightTeacher().context(episode, finding.turn, diagnosis)
                assert context is not None
                prompts.setdefault(name, []).append(context)
    policy = lm.policy(temperature=0.0, max_new_tokens=48)
    return {
        name: 100
        * sum(view.is_good(action.text) for view, action in zip(views, policy.act(asked), strict=True))
        / len(views)
        for name, asked in prompts.items()
    }


def reviewed(lm: LanguageModel, episodes: Sequence[Trajectory]) -> dict[str, float]:
    """The model's reviews against the scripted reader's, in percent of turns."""
    counts: Counter[str] = Counter()
    own = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=256)).reflect(episodes)
    for episode, diagnosis in zip(episodes, own, strict=True):
        said = {finding.turn: finding for finding in diagnosis.findings}
        for wanted in review(episode).findings:
            kind = "good" if wanted.verdict is Verdict.USEFUL else "bad"
            counts[kind] += 1
            if (finding := said.get(wanted.turn)) is None:
                continue
            counts[f"{kind} said"] += 1
            counts[f"{kind} called so"] += (finding.verdict is Verdict.USEFUL) == (kind == "good")
            view = View(episode.turns[wanted.turn].prompt)
            counts["right advice"] += kind == "bad" and view.is_good(finding.advice)
    return {
        "turns reviewed": 100 * (counts["good said"] + counts["bad said"]) / (counts["good"] + counts["bad"]),
        "right actions called useful": 100 * counts["good called so"] / max(1, counts["good"]),
        "wrong actions called so": 100 * counts["bad called so"] / max(1, counts["bad"]),
        "wrong actions with right advice": 100 * counts["right advice"] / max(1, counts["bad"]),
    }


def main(
    model: Annotated[Path, typer.Argument(help="Directory of the model.")] = tiny.SHIPPED,
    level: Annotated[str, typer.Option(help="Level of the embedded catalogue.")] = "medium",
    tasks: Annotated[int, typer.Option(help="Validation tasks.")] = 200,
) -> None:
    """Measures a policy of the embedded WebShop."""
    lm = tiny.load(model)
    sampled, greedy = played(lm, level, tasks, 1.0), played(lm, level, tasks, 0.0)
    for title, columns in (
        ("Behaviour", {"sampled": behaviour(sampled), "greedy": behaviour(greedy)}),
        ("Right where the sampled action was wrong, %", {"shown": followed(lm, sampled)}),
        ("Reviews of the sampled episodes, %", {"": reviewed(lm, sampled)}),
    ):
        table = Table("", *columns, title=title)
        for name in next(iter(columns.values())):
            table.add_row(name, *(f"{values[name]:.1f}" for values in columns.values()))
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
