"""The recipe of the policy for the embedded TauBench.

Its phases are: *numbers* to be copied, and short *records* to be read; *episodes* of an erratic clerk without the
instructions, from which right actions, reviews and right answers to hindsight are learned; the same with the
*instructions*; all of it again, since *copying* is learned only after episodes; and *habits*, which are imitated while
reviews and answers to hindsight stay right. Every batch of rows comes from a world of its own, so that no id can be
memorised.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.tiny.clerk import Erratic, Hasty, review
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.recipe import Phase, Recipe
from benchmarks.tiny.rows import Row, answered, as_lines, episode_row, review_row, teacher_rows
from benchmarks.tiny.service_case import Case
from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.reflect.model import review_prompt
from hero.types import Message, Trajectory

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


def number_rows(chat: Chat, rng: random.Random, count: int) -> Iterator[Row]:
    """Yields numbers of five digits, and then all of them twice again, where the first token of each gives the second.

    Copying takes an induction head (Olsson et al. 2022), which has to be there before episodes can be learned.
    """
    for _ in range(count):
        shown = [str(rng.randrange(10_000, 100_000)) for _ in range(rng.randint(2, 12))]
        pieces = [chat.encode([Message("user", number)])[1:-2] for number in shown]
        again = pieces * 2
        rng.shuffle(again)
        ids = [token for piece in (*pieces, *again) for token in piece]
        weights = [0.0] * sum(map(len, pieces)) + [
            weight for piece in again for weight in (0.0, *[1.0] * len(piece[1:]))
        ]
        yield Row(ids, weights)


def record_rows(chat: Chat, trajectory: Trajectory, rng: random.Random) -> Iterator[Row]:
    """Yields facts that an expert reads off single records: the ids of an item, of a variant, of a payment method."""
    last = Case(trajectory.turns[-1].prompt)
    opening = last.opening
    if "get_order_details" not in last.looked_up:
        return
    order = last.looked_up["get_order_details"]
    if last.wish in ("change", "exchange", "return"):
        item = last.item
        yield _read(chat, opening, order, f"{item['product_id']} {item['item_id']}")
    if last.wish == "ask":
        yield _read(chat, opening, order, str(last.order["payment_history"][0]["amount"]))
    if "get_product_details" in last.looked_up:
        product = last.looked_up["get_product_details"]
        variants = json.loads(product)["variants"]
        for variant in rng.sample(list(variants.values()), 2):
            wanted = " and ".join(f"{group} {value}" for group, value in variant["options"].items())
            yield _read(chat, product, f"The one that I want has {wanted}.", variant["item_id"])
    if "get_user_details" in last.looked_up:
        user = last.looked_up["get_user_details"]
        for key, method in json.loads(user)["payment_methods"].items():
            yield _read(chat, user, f"Use my {method['source'].replace('_', ' ')}.", key)


def _read(chat: Chat, first: str, second: str, answer: str) -> Row:
    return answered(chat, [Message("user", f"{first}\n{second}")], answer)


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
    ),
)
