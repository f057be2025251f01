"""Measures what a policy of the embedded TauBench can do: `python -m benchmarks.tiny.desk_probe [DIR]`.

It is asked for the next action in episodes of the scripted expert, of validation tasks, so that every step of every
wish is tried, whether or not the policy would get there. Then clerks of three kinds play in a world that no recipe
uses: the policy's reviews of their episodes are compared with those of the scripted reader, and where they erred it is
asked again with hindsight.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.tiny.clerk import Erratic, Hasty, Wanderer, expert, review
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import WISHES, Case
from hero.distill.teacher import HindsightTeacher
from hero.envs.taubench.action import parse_call
from hero.envs.taubench.env import TauBenchEnv
from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.policy import FunctionPolicy, Script
from hero.reflect.model import ModelReflector
from hero.reflect.rules import LIMITS
from hero.rollout import Task, rollout
from hero.runs.reader import read_episodes
from hero.types import Action, Diagnosis, Finding, Message, Trajectory, Turn, Verdict

WORLD = -1
"""Index of the world of the scripted clerks, which no phase of a recipe draws."""
CLERKS: dict[str, Callable[[random.Random], Script]] = {
    "hasty": lambda rng: Hasty(rng, 0.95, 0.95, 0.95),
    "erratic": lambda rng: Erratic(rng, 0.2),
    "wandering": Wanderer,
}
"""Kinds of clerks, each made from a random generator."""
console = Console(width=150)


def step_of(action: str) -> str:
    """Returns the kind of an action: the tool of a call, and of words whether they ask, propose or tell."""
    if call := parse_call(action):
        return call.name
    return "propose" if action.endswith("(yes/no)?") else "ask" if action.startswith(("What", "Please")) else "tell"


def expert_turns(tasks: int) -> list[Turn]:
    """Returns the turns of the expert's episodes of the first validation tasks."""
    env = TauBenchEnv(data="embedded", split="validation")
    episodes = rollout([env], FunctionPolicy(expert), [Task(index, 0) for index in range(tasks)], max_turns=12)
    return [turn for episode in episodes for turn in episode.turns]


def skill(turns: Sequence[Turn], actions: Sequence[Action]) -> dict[str, dict[str, float]]:
    """Returns, by wish and step, how often an action is the expert's, in percent."""
    right: dict[str, dict[str, list[bool]]] = {wish: defaultdict(list) for wish in WISHES}
    for turn, action in zip(turns, actions, strict=True):
        right[Case(turn.prompt).wish][step_of(turn.action.text)].append(action.text == turn.action.text)
    return {wish: {step: 100 * fmean(hits) for step, hits in steps.items()} for wish, steps in right.items()}


def wrong_arguments(turns: Sequence[Turn], actions: Sequence[Action]) -> dict[str, float]:
    """Returns how often an argument of the expert's call is another or missing, in percent, by tool and name."""
    wrong: dict[str, list[bool]] = defaultdict(list)
    for turn, action in zip(turns, actions, strict=True):
        if good := parse_call(turn.action.text):
            call = parse_call(action.text)
            for name, value in good.arguments.items():
                wrong[f"{good.name} {name}"].append(call is None or call.arguments.get(name) != value)
    return {name: 100 * fmean(misses) for name, misses in wrong.items()}


def review_quality(lm: LanguageModel, episodes: Sequence[Trajectory], tokens: int) -> dict[str, float]:
    """Returns how far the policy's reviews agree with those of the scripted reader, in percent of turns."""
    counts: Counter[str] = Counter()
    own_reviews = ModelReflector(lm.policy(temperature=0.0, max_new_tokens=tokens), own_ids=True).reflect(episodes)
    for episode, own_review in zip(episodes, own_reviews, strict=True):
        own = {finding.turn: finding for finding in own_review.findings}
        for reference in review(episode).findings:
            kind = "good" if reference.verdict is Verdict.USEFUL else "bad"
            counts[kind] += 1
            if (finding := own.get(reference.turn)) is None:
                continue
            counts[f"{kind} reviewed"] += 1
            counts[f"{kind} so"] += (finding.verdict is Verdict.USEFUL) == (kind == "good")
            counts["advised"] += kind == "bad" and finding.advice == reference.advice
    return {
        "turns": (counts["good"] + counts["bad"]) / len(episodes),
        "wrong turns": 100 * counts["bad"] / (counts["good"] + counts["bad"]),
        "reviewed": 100 * (counts["good reviewed"] + counts["bad reviewed"]) / (counts["good"] + counts["bad"]),
        "right, called useful": 100 * counts["good so"] / max(1, counts["good"]),
        "wrong, called so": 100 * counts["bad so"] / max(1, counts["bad"]),
        "wrong, called useful": 100 * (counts["bad reviewed"] - counts["bad so"]) / max(1, counts["bad"]),
        "wrong, advised rightly": 100 * counts["advised"] / max(1, counts["bad"]),
    }


def with_hindsight(lm: LanguageModel, episodes: Sequence[Trajectory], most: int) -> dict[str, float]:
    """Returns how often the greedy action at wrong turns is the advised one, and the faulted one again, in percent.

    Args:
        most: number of wrong turns to try.
    """
    faults = [
        (episode, finding)
        for episode in episodes
        for finding in review(episode).findings
        if finding.verdict is not Verdict.USEFUL
    ]
    faults = random.Random(0).sample(faults, min(most, len(faults)))
    prompts: dict[str, list[tuple[Message, ...]]] = {"nothing": [], "verdict": [], "all": []}
    for episode, finding in faults:
        prompts["nothing"].append(episode.turns[finding.turn].prompt)
        for name, shown in (("verdict", Finding(finding.turn, finding.verdict)), ("all", finding)):
            context = HindsightTeacher().context(episode, finding.turn, Diagnosis("probe", (shown,)))
            assert context is not None
            prompts[name].append(context)
    policy = lm.policy(temperature=0.0, max_new_tokens=128)
    shares = {}
    for name, contexts in prompts.items():
        actions = [action.text for action in policy.act(contexts)]
        taken = list(zip(actions, faults, strict=True))
        shares[f"advised, shown {name}"] = 100 * fmean(action == finding.advice for action, (_, finding) in taken)
        shares[f"faulted again, shown {name}"] = 100 * fmean(
            action == episode.turns[finding.turn].action.text for action, (episode, finding) in taken
        )
    return shares


def _table(title: str, columns: dict[str, dict[str, float]]) -> Table:
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    table = Table("", *columns, title=title)
    for name in names:
        table.add_row(name, *(f"{values[name]:.1f}" if name in values else "" for values in columns.values()))
    return table


def main(
    model: Annotated[Path, typer.Argument(help="Directory of the model.")] = tiny.MODELS / "taubench",
    tasks: Annotated[int, typer.Option(help="Number of validation tasks, and of episodes of each clerk.")] = 100,
    tokens: Annotated[int, typer.Option(help="Tokens after which a review is cut off.")] = 256,
    run: Annotated[
        Path | None, typer.Option(help="A run, whose episodes that came to a limit of turns are reviewed, too.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Number of torch threads.")] = 1,
) -> None:
    """Measures a policy of the embedded TauBench."""
    torch.set_num_threads(threads)
    lm = tiny.load(model)
    turns = expert_turns(tasks)
    actions = lm.policy(temperature=0.0, max_new_tokens=128).act([turn.prompt for turn in turns])
    console.print(_table("The expert's next action, greedily, %, by wish", skill(turns, actions)))
    console.print(_table("Arguments of the expert's calls", {"wrong, %": wrong_arguments(turns, actions)}))
    episodes = {
        name: play(desk(WORLD), clerk(random.Random(0)), tasks, random.Random(0)) for name, clerk in CLERKS.items()
    }
    if run is not None:
        limited = [episode.trajectory for episode in read_episodes(run) if episode.trajectory.stop in LIMITS]
        episodes["run"] = random.Random(0).sample(limited, min(tasks, len(limited)))
    reviews = {name: review_quality(lm, played, tokens) for name, played in episodes.items()}
    console.print(_table("Reviews by clerk, %", reviews))
    follows = {name: with_hindsight(lm, played, 300) for name, played in episodes.items()}
    console.print(_table("Greedy actions at wrong turns by clerk, %", follows))


if __name__ == "__main__":
    typer.run(main)
