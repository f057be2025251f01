"""Makes the policy that ships with the package: `python -m benchmarks.tiny --out DIR`.

Four phases, each from where the one before ended:

1. `drills`: single pages of four results; on them matching appears, suddenly.
2. `drills` again, on pages of six results too.
3. `skill`: scripted episodes with mistakes in them. The right actions are learned, a review of all turns after the
   episode, and what is right where hindsight stands in the context.
4. `habits`: careless episodes are imitated as they are, while reviews and answers to hindsight stay right.

The result knows better than it acts, as an instruct model does. All of it plays on catalogues of its own seeds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from benchmarks.tiny.episodes import play, shop
from benchmarks.tiny.pretrain import batches, fit, new_model
from benchmarks.tiny.rows import Row, drill_rows, episode_row, review_row, teacher_rows
from benchmarks.tiny.shopper import Erratic, Sloppy, as_lines, review
from benchmarks.tiny.tokenizer import train_ranks, write_ranks
from hero.chat import Chat
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop import catalogue
from hero.policies import tiny
from hero.policies.hf import LanguageModel
from hero.reflect.model import conversation

VOCABULARY = 1276
"""Ranks; the special tokens come on top."""
LAYERS, WIDTH = 4, 128
ERRORS = 0.3
"""Share of the turns in which the scripted shopper of the first phases errs."""
HABIT = 0.9
"""Share of the demonstrations of the last phase that hold each habit."""
console = Console()


def texts(rng: random.Random) -> Iterator[str]:
    """What the tokenizer is trained on: every kind of text that the model will see or write."""
    for level in catalogue.LEVELS:
        for number in range(6):
            for trajectory in play(shop(number, level), Erratic(rng, ERRORS), 60, rng):
                diagnosis = review(trajectory)
                yield from (message.content for message in conversation(trajectory))
                yield as_lines(diagnosis)
                for turn in range(len(trajectory.turns)):
                    if context := HindsightTeacher().context(trajectory, turn, diagnosis):
                        yield context[-1].content[-400:]
    for _ in range(8):
        yield from catalogue.codes(rng)


def drills(chat: Chat, levels: str, first: int, rng: random.Random) -> Iterator[list[Row]]:
    for number, level in _endless(levels, first):
        episodes = play(shop(number, level), Erratic(rng, ERRORS), 300, rng)
        yield [row for trajectory in episodes for row in drill_rows(chat, trajectory, context_weight=0.03)]


def skill(chat: Chat, levels: str, first: int, rng: random.Random) -> Iterator[list[Row]]:
    for number, level in _endless(levels, first):
        made: list[Row] = []
        for trajectory in play(shop(number, level), Erratic(rng, ERRORS), 100, rng):
            made.append(episode_row(chat, trajectory, imitate=False, context_weight=0.02))
            made += teacher_rows(chat, trajectory, rng, share=0.3)
            made += [row for row in drill_rows(chat, trajectory, context_weight=0.02) if rng.random() < 0.3]
        yield made


def habits(chat: Chat, levels: str, first: int, rng: random.Random) -> Iterator[list[Row]]:
    for number, level in _endless(levels, first):
        env, made = shop(number, level), []
        for trajectory in play(env, Sloppy(rng, HABIT, HABIT, HABIT, HABIT), 100, rng):
            made.append(episode_row(chat, trajectory, imitate=True, context_weight=0.02))
            made += teacher_rows(chat, trajectory, rng, share=0.3)
        for trajectory in play(env, Erratic(rng, ERRORS), 50, rng):
            made.append(review_row(chat, trajectory))
            made += teacher_rows(chat, trajectory, rng, share=0.3)
        yield made


# name, rows, levels in turn, first catalogue, steps, padded tokens a step, peak learning rate
PHASES = (
    ("drills", drills, "easy", 100, 800, 4096, 2e-3),
    ("drills on longer pages", drills, "medium medium easy", 200, 1000, 4096, 2e-3),
    ("skill", skill, "medium medium easy", 400, 2200, 8192, 1.5e-3),
    ("habits", habits, "medium medium easy", 700, 120, 8192, 5e-4),
)


def main(
    out: Annotated[Path, typer.Option(help="Directory to write the model to; must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the demonstrations.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    shorten: Annotated[float, typer.Option(help="Multiplies the steps of all phases, to try the recipe.")] = 1.0,
) -> None:
    """Trains the tiny policy from nothing; the state after each phase is kept beside the result."""
    out.mkdir(parents=True)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = random.Random(seed)
    with console.status("Playing episodes and training the tokenizer..."):
        write_ranks(train_ranks(texts(rng), VOCABULARY), out / tiny.RANKS)
    chat = tiny.load_chat(out)
    model: Any = new_model(VOCABULARY + len(tiny.SPECIAL), LAYERS, WIDTH)
    for number, (name, make, levels, first, steps, tokens, learning_rate) in enumerate(PHASES, 1):
        console.print(f"[bold]Phase {number}: {name}[/]")
        stream = (batch for made in make(chat, levels, first, rng) for batch in batches(made, tokens, rng))
        fit(model, stream, max(1, round(steps * shorten)), learning_rate, _log)
        torch.save(model.state_dict(), out / f"phase-{number}.pt")
    LanguageModel(model, chat, "tiny").save(out)
    console.print(f"The model is in {out}; `python -m benchmarks.tiny.probe {out}` measures it.")


def _endless(levels: str, first: int) -> Iterator[tuple[int, str]]:
    """(catalogue, level) without end."""
    names = levels.split()
    number = 0
    while True:
        yield first + number, names[number % len(names)]
        number += 1


def _log(step: int, loss: float, right: float, seconds: float) -> None:
    console.print(f"step {step:5d}  loss {loss:.3f}  right {right:.3f}  {seconds:.0f} s", highlight=False)


if __name__ == "__main__":
    typer.run(main)
