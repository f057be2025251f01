"""The recipe of the policy for the embedded WebShop.

Its phases:

1. *Drills*, on rows without a history. They begin with single results: the model must find equal words before it can
   learn anything else, and here nothing hides them. Then come pages of up to three, of up to two, and of all their
   results, with the right action and a check of each result.
2. *Copying*: pieces of what was shown before, from their first token on, beside the drills.
3. *Skill*: scripted episodes with mistakes in them, first cut into pieces of two turns. The model learns the right
   actions, a review of all turns after the episode, and the right action where hindsight stands in the context.
4. *Habits*: careless episodes are imitated as they are, while reviews and answers to hindsight stay right.
5. *Wandering*, and the habits once more: half of the episodes go in circles, as those of a policy in training come to
   do, and are reviewed rightly as well.

From copying on, every episode has product codes of its own. All episodes play on catalogues that no evaluation uses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.tiny.episodes import play, shop
from benchmarks.tiny.shop_page import PageView
from benchmarks.tiny.shop_rows import copy_rows, drill_rows, excerpt, with_new_codes, word_rows
from benchmarks.tiny.shopper import Erratic, Sloppy, Wanderer, review
from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop.catalogue import embedded
from hero.envs.webshop.env import WebShopEnv
from hero.models import tiny
from hero.reflect.model import review_prompt
from hero.types import Trajectory
from hero.warm.recipe import Phase, Recipe
from hero.warm.rows import Row, as_lines, episode_row, review_row, teacher_rows

PATTERN = r" ?\[SEP\] ?|[^\r\n\p{L}\p{N}\[]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"
"""Pattern that splits a text before the merges: the separator with the blanks around it, words with one mark before
them (never `[`, so that a button reads alike on a page and in `click[button]`), single digits, marks, space."""
ERROR_RATE = 0.3
"""Share of the turns in which the scripted shopper of the first phases errs."""
PAGE_SIZE = 10
"""Number of results on the longest page of the embedded catalogue."""
WANDERING = (0.4, 0.9)
"""Shares of the turns in which shoppers that go in circles do so."""
HABIT_RATE = 0.95
"""Share of the demonstrations of the last phase that hold each habit."""


def texts(rng: random.Random) -> Iterator[str]:
    """Yields every kind of text that the model will see or write, to train the tokenizer on."""
    for level in embedded.LEVELS:
        for index in range(6):
            for trajectory in play(shop(index, level), Erratic(rng, ERROR_RATE), 60, rng):
                diagnosis = review(trajectory)
                for turn in trajectory.turns:
                    view = PageView(turn.prompt)
                    for _, title, price in view.items if view.page == "results" else ():
                        yield f"{view.requirements.by_word(title, price)}: {view.requirements.verdict(title, price)}"
                yield from (message.content for message in review_prompt(trajectory))
                yield as_lines(diagnosis)
                for turn_index in range(len(trajectory.turns)):
                    if context := HindsightTeacher().context(trajectory, turn_index, diagnosis):
                        yield context[-1].content[-400:]
    for _ in range(8):
        yield from embedded.codes(rng)


def drills(
    chat: Chat, index: int, rng: random.Random, first: int, levels: str, max_items: int, word_passes: int
) -> Iterator[Row]:
    """Yields rows without a history.

    Args:
        max_items: maximum number of results on a page; 0 for no pages.
        word_passes: number of passes over each episode for rows of single results.
    """
    for trajectory in play(_shop(index, first, levels), Erratic(rng, 2 * ERROR_RATE), 300, rng):
        for _ in range(word_passes):
            yield from word_rows(chat, trajectory, rng)
        if max_items:
            yield from drill_rows(chat, trajectory, rng, max_items)


def copying(chat: Chat, index: int, rng: random.Random, first: int, levels: str) -> Iterator[Row]:
    """Yields pieces to copy, and drills with new codes."""
    yield from copy_rows(chat, rng, 1500)
    for trajectory in _with_new_codes(play(_shop(index, first, levels), Erratic(rng, 2 * ERROR_RATE), 100, rng), rng):
        yield from drill_rows(chat, trajectory, rng, PAGE_SIZE)


def skill(
    chat: Chat, index: int, rng: random.Random, first: int, levels: str, turns: int, wander: bool = False
) -> Iterator[Row]:
    """Yields episodes with mistakes, in pieces of some turns, of which right actions and reviews are learned.

    Args:
        wander: whether half of the episodes go in circles.
    """
    env = _shop(index, first, levels)
    erratic = Erratic(rng, ERROR_RATE)
    shoppers = [erratic, Sloppy(rng, *[2 * ERROR_RATE] * 4)]
    shoppers += [Wanderer(rng, rate, erratic) for rate in WANDERING] if wander else []
    for shopper in shoppers:
        for trajectory in _with_new_codes(play(env, shopper, 120 // len(shoppers), rng), rng):
            for start in range(0, len(trajectory.turns), turns):
                part = excerpt(trajectory, start, turns)
                yield episode_row(chat, part, review(part), imitate=False)
                yield from teacher_rows(chat, part, review(part), rng, share=0.5)
            yield from drill_rows(chat, trajectory, rng, PAGE_SIZE)


def habits(chat: Chat, index: int, rng: random.Random, first: int, levels: str, wander: bool = False) -> Iterator[Row]:
    """Yields careless episodes to imitate, and rows that keep reviews and answers to hindsight right."""
    env = _shop(index, first, levels)
    for trajectory in _with_new_codes(play(env, Sloppy(rng, *[HABIT_RATE] * 4), 100, rng), rng):
        yield episode_row(chat, trajectory, review(trajectory), imitate=True)
        yield from teacher_rows(chat, trajectory, review(trajectory), rng, share=0.3)
    erratic = Erratic(rng, ERROR_RATE)
    for shopper in [erratic, *(Wanderer(rng, rate, erratic) for rate in WANDERING if wander)]:
        for trajectory in _with_new_codes(play(env, shopper, 50, rng), rng):
            yield review_row(chat, trajectory, review(trajectory))
            yield from teacher_rows(chat, trajectory, review(trajectory), rng, share=0.3)


def _with_new_codes(trajectories: Sequence[Trajectory], rng: random.Random) -> Iterator[Trajectory]:
    return (with_new_codes(trajectory, rng) for trajectory in trajectories)


def _shop(index: int, first: int, levels: str) -> WebShopEnv:
    """Returns the shop for a batch of rows: catalogues are numbered from `first` on, and levels take turns."""
    level_names = levels.split()
    return shop(first + index, level_names[index % len(level_names)])


EASY, MIXED, MOST_MEDIUM, MOST_HARD = "easy", "easy medium", "medium medium easy", "hard hard medium"
RECIPE = Recipe(
    texts=texts,
    pattern=PATTERN,
    vocabulary=1276,
    digits=1,
    phases=(
        Phase("single results", partial(drills, first=100, levels=EASY, max_items=0, word_passes=4), 500, 4096, 2e-3),
        Phase("short pages", partial(drills, first=200, levels=MIXED, max_items=3, word_passes=4), 1200, 4096, 1.5e-3),
        Phase("shorter pages", partial(drills, first=300, levels=MIXED, max_items=2, word_passes=1), 500, 4096, 2e-3),
        Phase(
            "whole pages",
            partial(drills, first=400, levels=MOST_MEDIUM, max_items=PAGE_SIZE, word_passes=1),
            1000,
            4096,
            1.5e-3,
        ),
        Phase("copying", partial(copying, first=450, levels=MOST_MEDIUM), 500, 4096, 2e-3),
        Phase("short episodes", partial(skill, first=500, levels=MOST_MEDIUM, turns=2), 1000, 4096, 1.5e-3),
        Phase("episodes", partial(skill, first=600, levels=MOST_MEDIUM, turns=10), 1200, 8192, 1.5e-3),
        Phase("habits", partial(habits, first=700, levels=MOST_MEDIUM), 300, 8192, 4e-4),
        Phase("wandering", partial(skill, first=800, levels=MOST_MEDIUM, turns=10, wander=True), 700, 8192, 1.5e-3),
        Phase("habits again", partial(habits, first=900, levels=MOST_MEDIUM, wander=True), 250, 8192, 4e-4),
    ),
)
HARD = replace(
    RECIPE,
    start=tiny.SHIPPED,
    phases=(
        Phase(
            "short hard episodes", partial(skill, first=1000, levels=MOST_HARD, turns=2, wander=True), 600, 8192, 1.5e-3
        ),
        Phase("hard episodes", partial(skill, first=1100, levels=MOST_HARD, turns=10, wander=True), 600, 8192, 1.5e-3),
        Phase("hard habits", partial(habits, first=1200, levels=MOST_HARD, wander=True), 250, 8192, 4e-4),
    ),
)
"""Goes on from the policy that ships, so that it knows orders of the level hard, too."""
