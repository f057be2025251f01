"""The recipe of the policy for the embedded WebShop.

Its phases:

1. *Drills*, on rows without a history. First single results: whether two words are equal has to be found before
   anything else, and here nothing hides it. Then pages of up to three, of up to two, and of all their results: what is
   right on them, and a check of each result.
2. *Copying*: pieces of what was shown before, from their first token on, beside the drills.
3. *Skill*: scripted episodes with mistakes in them, first cut into pieces of two turns. The right actions are learned,
   a review of all turns after the episode, and what is right where hindsight stands in the context.
4. *Habits*: careless episodes are imitated as they are, while reviews and answers to hindsight stay right.

From copying on, every episode has product codes of its own. All of it plays on catalogues of its own seeds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.tiny.episodes import play, shop
from benchmarks.tiny.recipe import Phase, Recipe
from benchmarks.tiny.rows import Row, as_lines, episode_row, excerpt, review_row, teacher_rows
from benchmarks.tiny.shop_rows import copy_rows, drill_rows, recoded, word_rows
from benchmarks.tiny.shopper import Erratic, Sloppy, View, review
from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop.catalogue import embedded
from hero.envs.webshop.env import WebShopEnv
from hero.reflect.model import conversation
from hero.types import Trajectory

PATTERN = r" ?\[SEP\] ?|[^\r\n\p{L}\p{N}\[]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
"""Splits a text before the merges: the separator with the blanks around it, words with one mark before them (never `[`,
so that a button reads alike on a page and in `click[button]`), single digits, marks, space."""
ERRORS = 0.3
"""Share of the turns in which the scripted shopper of the first phases errs."""
ALL = 10
"""Results on the longest page of the embedded catalogue."""
HABIT = 0.95
"""Share of the demonstrations of the last phase that hold each habit."""


def texts(rng: random.Random) -> Iterator[str]:
    """What the tokenizer is trained on: every kind of text that the model will see or write."""
    for level in embedded.LEVELS:
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
        yield from embedded.codes(rng)


def drills(
    chat: Chat, number: int, rng: random.Random, first: int, levels: str, most: int, words: int
) -> Iterator[Row]:
    for trajectory in play(_shop(number, first, levels), Erratic(rng, 2 * ERRORS), 300, rng):
        for _ in range(words):
            yield from word_rows(chat, trajectory, rng)
        if most:
            yield from drill_rows(chat, trajectory, rng, most)


def copying(chat: Chat, number: int, rng: random.Random, first: int, levels: str) -> Iterator[Row]:
    yield from copy_rows(chat, rng, 1500)
    for trajectory in _recoded(play(_shop(number, first, levels), Erratic(rng, 2 * ERRORS), 100, rng), rng):
        yield from drill_rows(chat, trajectory, rng, ALL)


def skill(chat: Chat, number: int, rng: random.Random, first: int, levels: str, turns: int) -> Iterator[Row]:
    env = _shop(number, first, levels)
    for shopper in (Erratic(rng, ERRORS), Sloppy(rng, *[2 * ERRORS] * 4)):
        for trajectory in _recoded(play(env, shopper, 60, rng), rng):
            for start in range(0, len(trajectory.turns), turns):
                part = excerpt(trajectory, start, turns)
                yield episode_row(chat, part, review(part), imitate=False)
                yield from teacher_rows(chat, part, review(part), rng, share=0.5)
            yield from drill_rows(chat, trajectory, rng, ALL)


def habits(chat: Chat, number: int, rng: random.Random, first: int, levels: str) -> Iterator[Row]:
    env = _shop(number, first, levels)
    for trajectory in _recoded(play(env, Sloppy(rng, *[HABIT] * 4), 100, rng), rng):
        yield episode_row(chat, trajectory, review(trajectory), imitate=True)
        yield from teacher_rows(chat, trajectory, review(trajectory), rng, share=0.3)
    for trajectory in _recoded(play(env, Erratic(rng, ERRORS), 50, rng), rng):
        yield review_row(chat, trajectory, review(trajectory))
        yield from teacher_rows(chat, trajectory, review(trajectory), rng, share=0.3)


def _recoded(trajectories: Sequence[Trajectory], rng: random.Random) -> Iterator[Trajectory]:
    return (recoded(trajectory, rng) for trajectory in trajectories)


def _shop(number: int, first: int, levels: str) -> WebShopEnv:
    """The catalogue of a batch of rows: numbered from `first` on, of the levels in turn."""
    names = levels.split()
    return shop(first + number, names[number % len(names)])


RECIPE = Recipe(
    texts,
    PATTERN,
    1276,
    1,
    (
        Phase("single results", partial(drills, first=100, levels="easy", most=0, words=4), 500, 4096, 2e-3),
        Phase("short pages", partial(drills, first=200, levels="easy medium", most=3, words=4), 1200, 4096, 1.5e-3),
        Phase("shorter pages", partial(drills, first=300, levels="easy medium", most=2, words=1), 500, 4096, 2e-3),
        Phase(
            "whole pages",
            partial(drills, first=400, levels="medium medium easy", most=ALL, words=1),
            1000,
            4096,
            1.5e-3,
        ),
        Phase("copying", partial(copying, first=450, levels="medium medium easy"), 500, 4096, 2e-3),
        Phase("short episodes", partial(skill, first=500, levels="medium medium easy", turns=2), 1000, 4096, 1.5e-3),
        Phase("episodes", partial(skill, first=600, levels="medium medium easy", turns=10), 1200, 8192, 1.5e-3),
        Phase("habits", partial(habits, first=700, levels="medium medium easy"), 300, 8192, 4e-4),
    ),
)
