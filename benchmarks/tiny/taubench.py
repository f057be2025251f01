"""The recipe of the policy for the embedded TauBench.

Its phases are: *numbers* to be copied, and short *records* to be read; *episodes* of an erratic clerk without the
instructions, from which right actions, reviews and right answers to hindsight are learned; the same with the
*instructions*; all of it again, since *copying* is learned only after episodes; and *habits*, which are imitated while
reviews and answers to hindsight stay right. What the policy then could not do has phases of its own: *calls* whose
arguments are words and ids to be copied, *hard* episodes of the wishes that need them, and *wandering*, which is habits
again, with reviews of clerks who go round in circles. Then come *reviews* of such clerks and of erratic ones, before
and after rows in which wishes have to be turned into the right *choices* of a record. Every batch of rows comes from a
world of its own, so that no id can be memorised.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.tiny.clerk import Erratic, Hasty, Wanderer, review
from benchmarks.tiny.desk_rows import (
    call_rows,
    choice_rows,
    lookup_rows,
    number_rows,
    record_rows,
    verdict_row,
    word_rows,
)
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import Case
from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.reflect.model import review_prompt
from hero.types import Trajectory
from hero.warm.recipe import Phase, Recipe
from hero.warm.rows import Row, as_lines, episode_row, review_row, teacher_rows

PATTERN = (
    r'</?tool_call>| ?"[a-z][a-z_0-9]*": (?:\[?"|\{)?|[a-z]+(?:_[a-z]+)+|[^\r\n\p{L}\p{N}"]?\p{L}+|\p{N}{1,3}'
    r'| ?"[,:}\]]*| ?[^\s\p{L}\p{N}"]+|\s+'
)
"""Pattern that splits a text before the merges: keys of JSON with the opening of their values, names of tools, words
with one mark before them, up to three digits (an id is two tokens), marks, space."""
ERRORS = 0.2
"""Share of turns in which the erratic clerk errs."""
HABIT = 0.95
"""Share of demonstrations of the last phase that show each habit."""


def texts(rng: random.Random) -> Iterator[str]:
    """Yields the texts that the tokenizer is trained on."""
    for world in range(6):
        env = desk(world)
        yield env.instructions
        for clerk in (Erratic(rng, ERRORS), Hasty(rng, *[HABIT] * 3)):
            for trajectory in play(env, clerk, 100, rng):
                diagnosis = review(trajectory)
                yield from (message.content for message in review_prompt(trajectory)[1:])
                yield as_lines(diagnosis)
                for turn in range(len(trajectory.turns)):
                    if context := HindsightTeacher().context(trajectory, turn, diagnosis):
                        yield context[-1].content[-400:]


def copying(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields rows of numbers alone, then rows of facts that have to be read off records."""
    yield from number_rows(chat, rng, 2000)
    yield from records(chat, index, rng)


def records(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields rows of facts that have to be read off the records of an episode, each alone."""
    for trajectory in play(desk(index), Erratic(rng, 0.0), 400, rng):
        yield from record_rows(chat, trajectory, rng)


def calls(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields rows of numbers and words to be copied, then rows of facts and calls that have to be read off records."""
    played = play(desk(index), Erratic(rng, 0.0), 200, rng)
    seen = {token for trajectory in played[:20] for token in chat.encode(review_prompt(trajectory))[:-1]}
    yield from number_rows(chat, rng, 300)
    yield from word_rows(chat, sorted(seen), rng, 1000)
    for trajectory in played:
        yield from record_rows(chat, trajectory, rng)
        if _is_hard(trajectory):
            yield from call_rows(chat, trajectory)


def lookups(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields rows of entries to be chosen from records, then of facts and calls."""
    for _ in range(6):
        yield from lookup_rows(chat, rng)
    yield from facts(chat, index, rng, 100)


def choices(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields rows of wishes one after the other with the calls that serve them, then of facts and calls."""
    for _ in range(4):
        yield from choice_rows(chat, rng)
    yield from facts(chat, index, rng, 60)


def facts(chat: Chat, index: int, rng: random.Random, count: int) -> Iterator[Row]:
    """Yields facts and calls of the wishes that take copying, each after the records alone that it is read off."""
    for trajectory in play(desk(index), Erratic(rng, 0.0), count, rng):
        if _is_hard(trajectory):
            yield from record_rows(chat, trajectory, rng)
            yield from call_rows(chat, trajectory)


def hard_episodes(chat: Chat, index: int, rng: random.Random, instructed: bool) -> Iterator[Row]:
    """Yields rows of whole episodes of erratic and of wandering clerks, with few customers who are served easily."""
    env = desk(index)
    for clerk in (Erratic(rng, ERRORS), Wanderer(rng)):
        for trajectory in play(env, clerk, 60, rng):
            if _is_hard(trajectory) or rng.random() < 0.3:
                played = trajectory if instructed else _without_instructions(trajectory)
                diagnosis = review(played)
                yield episode_row(chat, played, diagnosis, imitate=False)
                yield from teacher_rows(chat, played, diagnosis, rng, share=0.1)
    if not instructed:
        yield from facts(chat, index, rng, 60)


def episodes(chat: Chat, index: int, rng: random.Random, instructed: bool) -> Iterator[Row]:
    """Yields rows of whole episodes that contain mistakes."""
    for trajectory in play(desk(index), Erratic(rng, ERRORS), 60, rng):
        played = trajectory if instructed else _without_instructions(trajectory)
        diagnosis = review(played)
        yield episode_row(chat, played, diagnosis, imitate=False)
        yield from teacher_rows(chat, played, diagnosis, rng, share=0.15)
    if not instructed:
        for trajectory in play(desk(index), Erratic(rng, 0.0), 60, rng):
            yield from record_rows(chat, trajectory, rng)


def habits(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields hasty episodes as they are, and reviews of and advice on mistakes of all kinds."""
    env = desk(index)
    for trajectory in play(env, Hasty(rng, *[HABIT] * 3), 60, rng):
        diagnosis = review(trajectory)
        yield episode_row(chat, trajectory, diagnosis, imitate=True)
        yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.15)
    for trajectory in play(env, Erratic(rng, ERRORS), 30, rng):
        diagnosis = review(trajectory)
        yield review_row(chat, trajectory, diagnosis)
        yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.15)


def wandering(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields the rows of `habits`, reviews of and advice on wandering episodes, and what follows after a found order.

    The last keep alive what the habit of giving up never comes to. The call that finds the order is not learned there,
    since a habit spoils it.
    """
    yield from habits(chat, index, rng)
    env = desk(index)
    for trajectory in play(env, Wanderer(rng), 60, rng):
        diagnosis = review(trajectory)
        yield review_row(chat, trajectory, diagnosis)
        yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.1)
    for trajectory in play(env, Hasty(rng, 0.0, 0.0, HABIT), 60, rng):
        if _is_hard(trajectory):
            look = Case(trajectory.turns[0].prompt).look.text()
            yield episode_row(chat, trajectory, review(trajectory), imitate=True, left_out=[look])


def reviews(chat: Chat, index: int, rng: random.Random) -> Iterator[Row]:
    """Yields the rows of `wandering`, and judgements of many more turns of erratic and wandering clerks."""
    yield from wandering(chat, index, rng)
    for clerk in (Erratic(rng, 0.3), Wanderer(rng)):
        for trajectory in play(desk(index), clerk, 100, rng):
            yield verdict_row(chat, trajectory, review(trajectory))


def _is_hard(trajectory: Trajectory) -> bool:
    """Returns whether a wish takes more copying than that of an order id and a reason or an amount."""
    return Case(trajectory.turns[0].prompt).wish not in ("cancel", "ask")


def _without_instructions(trajectory: Trajectory) -> Trajectory:
    """Returns the same episode without its system message."""
    return replace(trajectory, turns=tuple(replace(turn, prompt=turn.prompt[1:]) for turn in trajectory.turns))


RECIPE = Recipe(
    texts,
    PATTERN,
    2796,
    3,
    (
        Phase("numbers", copying, 400, 4096, 2e-3),
        Phase("records", records, 400, 4096, 2e-3),
        Phase("episodes", partial(episodes, instructed=False), 900, 8192, 1.5e-3),
        Phase("instructions", partial(episodes, instructed=True), 300, 12288, 1e-3),
        Phase("copying", copying, 200, 4096, 2e-3),
        Phase("episodes again", partial(episodes, instructed=False), 500, 8192, 1.2e-3),
        Phase("instructions again", partial(episodes, instructed=True), 150, 12288, 1e-3),
        Phase("habits", habits, 150, 12288, 4e-4),
        Phase("calls", calls, 250, 4096, 1.5e-3),
        Phase("hard episodes", partial(hard_episodes, instructed=False), 200, 8192, 1.2e-3),
        Phase("hard instructions", partial(hard_episodes, instructed=True), 60, 12288, 1e-3),
        Phase("lookups", lookups, 220, 4096, 1.5e-3),
        Phase("hard episodes again", partial(hard_episodes, instructed=False), 70, 8192, 1.2e-3),
        Phase("hard instructions again", partial(hard_episodes, instructed=True), 30, 12288, 8e-4),
        Phase("wandering", wandering, 120, 12288, 5e-4),
        Phase("reviews", reviews, 250, 12288, 8e-4),
        Phase("choices", choices, 250, 8192, 1.5e-3),
        Phase("reviews again", reviews, 150, 12288, 6e-4),
    ),
)
