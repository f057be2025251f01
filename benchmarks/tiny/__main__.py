"""Makes the policy that ships with the package: `python -m benchmarks.tiny --out DIR`.

Its phases, each from where the one before ended (a run that was cut off goes on after its last whole phase):

1. *Drills*, on rows without a history. First single results: whether two words are equal has to be found before
   anything else, and here nothing hides it. Then pages of up to three, of up to two, and of all their results: what is
   right on them, and a check of each result.
2. *Copying*: pieces of what was shown before, from their first token on, beside the drills.
3. *Skill*: scripted episodes with mistakes in them, first cut into pieces of two turns. The right actions are learned,
   a review of all turns after the episode, and what is right where hindsight stands in the context.
4. *Habits*: careless episodes are imitated as they are, while reviews and answers to hindsight stay right.

From copying on, every episode has product codes of its own.

The result knows better than it acts, as an instruct model does. All of it plays on catalogues of its own seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from benchmarks.tiny.episodes import play, shop
from benchmarks.tiny.pretrain import batches, fit, new_model
from benchmarks.tiny.rows import (
    Row,
    copy_rows,
    drill_rows,
    episode_row,
    excerpt,
    recoded,
    review_row,
    teacher_rows,
    word_rows,
)
from benchmarks.tiny.shopper import Erratic, Sloppy, View, as_lines, review
from benchmarks.tiny.tokenizer import train_ranks, write_ranks
from hero.chat import Chat
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop import catalogue
from hero.policies import tiny
from hero.policies.hf import LanguageModel
from hero.reflect.model import conversation
from hero.types import Trajectory

VOCABULARY = 1276
"""Ranks; the special tokens come on top."""
LAYERS, HEADS, WIDTH = 4, 4, 128
ERRORS = 0.3
"""Share of the turns in which the scripted shopper of the first phases errs."""
ALL = 10
"""Results on the longest page of the embedded catalogue."""
HABIT = 0.95
"""Share of the demonstrations of the last phase that hold each habit."""
console = Console()


def texts(rng: random.Random) -> Iterator[str]:
    """What the tokenizer is trained on: every kind of text that the model will see or write."""
    for level in catalogue.LEVELS:
        for number in range(6):
            for trajectory in play(shop(number, level), Erratic(rng, ERRORS), 60, rng):
                diagnosis = review(trajectory)
                for turn in trajectory.turns:
                    view = View(turn.prompt)
                    for _, title, price in view.items if view.page == "results" else ():
                        yield f"{view.wish.by_word(title, price)}: {view.wish.verdict(title, price)}"
                yield from (message.content for message in conversation(trajectory))
                yield as_lines(diagnosis)
                for place in range(len(trajectory.turns)):
                    if context := HindsightTeacher().context(trajectory, place, diagnosis):
                        yield context[-1].content[-400:]
    for _ in range(8):
        yield from catalogue.codes(rng)


def drills(chat: Chat, level: str, number: int, rng: random.Random, most: int, words: int) -> Iterator[Row]:
    for trajectory in play(shop(number, level), Erratic(rng, 2 * ERRORS), 300, rng):
        for _ in range(words):
            yield from word_rows(chat, trajectory, rng)
        if most:
            yield from drill_rows(chat, trajectory, rng, most)


def copying(chat: Chat, level: str, number: int, rng: random.Random) -> Iterator[Row]:
    yield from copy_rows(chat, rng, 1500)
    for trajectory in _recoded(play(shop(number, level), Erratic(rng, 2 * ERRORS), 100, rng), rng):
        yield from drill_rows(chat, trajectory, rng, ALL)


def skill(chat: Chat, level: str, number: int, rng: random.Random, turns: int) -> Iterator[Row]:
    env = shop(number, level)
    for shopper in (Erratic(rng, ERRORS), Sloppy(rng, *[2 * ERRORS] * 4)):
        for trajectory in _recoded(play(env, shopper, 60, rng), rng):
            for start in range(0, len(trajectory.turns), turns):
                part = excerpt(trajectory, start, turns)
                yield episode_row(chat, part, imitate=False)
                yield from teacher_rows(chat, part, rng, share=0.5)
            yield from drill_rows(chat, trajectory, rng, ALL)


def habits(chat: Chat, level: str, number: int, rng: random.Random) -> Iterator[Row]:
    env = shop(number, level)
    for trajectory in _recoded(play(env, Sloppy(rng, *[HABIT] * 4), 100, rng), rng):
        yield episode_row(chat, trajectory, imitate=True)
        yield from teacher_rows(chat, trajectory, rng, share=0.3)
    for trajectory in _recoded(play(env, Erratic(rng, ERRORS), 50, rng), rng):
        yield review_row(chat, trajectory)
        yield from teacher_rows(chat, trajectory, rng, share=0.3)


def _recoded(trajectories: Sequence[Trajectory], rng: random.Random) -> Iterator[Trajectory]:
    return (recoded(trajectory, rng) for trajectory in trajectories)


@dataclass(frozen=True)
class Phase:
    """What is learned from where the phase before ended.

    Attributes:
        rows: of (chat, level, number of the catalogue, rng).
        levels: of the catalogues, in turn.
        first: number of the first catalogue.
        tokens: padded tokens a step.
        learning_rate: at its peak.
    """

    name: str
    rows: Callable[[Chat, str, int, random.Random], Iterator[Row]]
    levels: str
    first: int
    steps: int
    tokens: int
    learning_rate: float


PHASES = (
    Phase("single results", partial(drills, most=0, words=4), "easy", 100, 500, 4096, 2e-3),
    Phase("short pages", partial(drills, most=3, words=4), "easy medium", 200, 1200, 4096, 1.5e-3),
    Phase("shorter pages", partial(drills, most=2, words=1), "easy medium", 300, 500, 4096, 2e-3),
    Phase("whole pages", partial(drills, most=ALL, words=1), "medium medium easy", 400, 1000, 4096, 1.5e-3),
    Phase("copying", copying, "medium medium easy", 450, 500, 4096, 2e-3),
    Phase("short episodes", partial(skill, turns=2), "medium medium easy", 500, 1000, 4096, 1.5e-3),
    Phase("episodes", partial(skill, turns=10), "medium medium easy", 600, 1200, 8192, 1.5e-3),
    Phase("habits", habits, "medium medium easy", 700, 300, 8192, 4e-4),
)


def main(
    out: Annotated[Path, typer.Option(help="Where the model goes; the same command resumes a run that was cut off.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the demonstrations.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    shorten: Annotated[float, typer.Option(help="Multiplies the steps of all phases, to try the recipe.")] = 1.0,
) -> None:
    """Trains the tiny policy from nothing; the state after each phase is kept beside the result."""
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    if not (out / tiny.RANKS).exists():
        with console.status("Playing episodes and training the tokenizer..."):
            write_ranks(train_ranks(texts(random.Random(seed)), VOCABULARY), out / tiny.RANKS)
    chat = tiny.load_chat(out)
    torch.manual_seed(seed)
    model: Any = new_model(VOCABULARY + len(tiny.SPECIAL), LAYERS, HEADS, WIDTH)
    for number, phase in enumerate(PHASES, 1):
        state = out / f"phase-{number}.pt"
        if state.exists():
            model.load_state_dict(torch.load(state))
            continue
        console.print(f"[bold]Phase {number}: {phase.name}[/]")
        rng = random.Random(f"{seed}-{number}")
        fit(model, _batches(phase, chat, rng), max(1, round(phase.steps * shorten)), phase.learning_rate, _log)
        torch.save(model.state_dict(), state)
    LanguageModel(model, chat, "tiny").save(out)
    console.print(f"The model is in {out}; `python -m benchmarks.tiny.probe {out}` measures it.")


def _batches(phase: Phase, chat: Chat, rng: random.Random) -> Iterator[list[Row]]:
    """Without end, catalogue after catalogue."""
    for number, level in enumerate(cycle(phase.levels.split()), phase.first):
        yield from batches(list(phase.rows(chat, level, number, rng)), phase.tokens, rng)


def _log(step: int, loss: float, right: float, seconds: float) -> None:
    console.print(f"step {step:5d}  loss {loss:.3f}  right {right:.3f}  {seconds:.0f} s", highlight=False)


if __name__ == "__main__":
    typer.run(main)
