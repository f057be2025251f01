"""Measures what a policy of the embedded WebShop can do: `python -m benchmarks.tiny.probe [DIR]`.

It plays validation tasks sampled and greedily. Where its sampled actions were wrong, it is asked again with each kind
of hindsight. Last, its reviews are compared with those of the scripted reader.
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

from benchmarks.tiny.shop_page import PageView
from benchmarks.tiny.shopper import review
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.reflect.feedback import FeedbackReflector
from hero.reflect.model import ModelReflector
from hero.rollout import Task, rollout
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

MAX_TURNS = 10
PAGES = ("search", "results", "item")
console = Console()


def play(lm: LanguageModel, level: str, tasks: int, temperature: float) -> list[Trajectory]:
    envs = [WebShopEnv(split="validation", level=level) for _ in range(64)]
    policy = lm.policy(temperature=temperature, max_new_tokens=48)
    return rollout(envs, policy, [Task(index, index) for index in range(tasks)], max_turns=MAX_TURNS)


def behaviour(episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Returns success, score, turns, and shares in percent of valid and of right actions, these by kind of page.

    An action is right if the scripted expert could have taken it.
    """
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for episode in episodes:
        for turn in episode.turns:
            view = PageView(turn.prompt)
            total[view.page] += 1
            right[view.page] += view.is_good(turn.action.text)
    turns = [turn for episode in episodes for turn in episode.turns]
    return {
        "success": 100 * sum(episode.success for episode in episodes) / len(episodes),
        "score": 100 * sum(episode.reward for episode in episodes) / len(episodes),
        "turns": len(turns) / len(episodes),
        "valid": 100 * sum(turn.info["action_valid"] is True for turn in turns) / len(turns),
        **{f"right on {page}": 100 * right[page] / total[page] for page in PAGES if total[page]},
    }


def right_with_hindsight(lm: LanguageModel, episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Returns how often the greedy action is right where the sampled one was wrong, in percent, by what is shown."""
    prompts: dict[str, list[Sequence[Message]]] = {}
    views = []
    for episode in episodes:
        feedback = FeedbackReflector().reflect([episode])[0]
        for finding in review(episode).findings:
            if finding.verdict is Verdict.USEFUL:
                continue
            views.append(PageView(episode.turns[finding.turn].prompt))
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
    shares = {}
    for name, contexts in prompts.items():
        actions = policy.act(contexts)
        right = sum(view.is_good(action.text) for view, action in zip(views, actions, strict=True))
        shares[name] = 100 * right / len(views)
    return shares


def review_quality(lm: LanguageModel, episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Returns how far the model's own reviews agree with those of the scripted reader, in percent of turns."""
    counts: Counter[str] = Counter()
    own_reviews = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=256), own_ids=True).reflect(episodes)
    for episode, own_review in zip(episodes, own_reviews, strict=True):
        own_findings = {finding.turn: finding for finding in own_review.findings}
        for reference in review(episode).findings:
            kind = "good" if reference.verdict is Verdict.USEFUL else "bad"
            counts[kind] += 1
            if (finding := own_findings.get(reference.turn)) is None:
                continue
            counts[f"{kind} reviewed"] += 1
            counts[f"{kind} called so"] += (finding.verdict is Verdict.USEFUL) == (kind == "good")
            view = PageView(episode.turns[reference.turn].prompt)
            counts["right advice"] += kind == "bad" and view.is_good(finding.advice)
    return {
        "turns reviewed": 100 * (counts["good reviewed"] + counts["bad reviewed"]) / (counts["good"] + counts["bad"]),
        "right actions called useful": 100 * counts["good called so"] / max(1, counts["good"]),
        "wrong actions called so": 100 * counts["bad called so"] / max(1, counts["bad"]),
        "wrong actions with right advice": 100 * counts["right advice"] / max(1, counts["bad"]),
    }


def main(
    model: Annotated[Path, typer.Argument(help="Directory of the model.")] = tiny.SHIPPED,
    level: Annotated[str, typer.Option(help="Level of the embedded catalogue.")] = "medium",
    tasks: Annotated[int, typer.Option(help="Number of validation tasks.")] = 200,
) -> None:
    """Measures a policy of the embedded WebShop."""
    lm = tiny.load(model)
    sampled, greedy = play(lm, level, tasks, 1.0), play(lm, level, tasks, 0.0)
    for title, columns in (
        ("Behaviour", {"sampled": behaviour(sampled), "greedy": behaviour(greedy)}),
        ("Right where the sampled action was wrong, %", {"shown": right_with_hindsight(lm, sampled)}),
        ("Reviews of the sampled episodes, %", {"": review_quality(lm, sampled)}),
    ):
        table = Table("", *columns, title=title)
        for name in next(iter(columns.values())):
            table.add_row(name, *(f"{values[name]:.1f}" for values in columns.values()))
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
