"""Rows of WebShop for the drills of the recipe: pages without their history, single results, pieces to copy."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.tiny.shop_page import FITS, PageView
from hero.chat.base import Chat
from hero.envs.webshop.catalogue.embedded import codes
from hero.types import Message, Trajectory
from hero.warm.rows import Row, answered

CODE = re.compile(r"\b(?:[B-DF-HJ-NP-TV-Z][AEIOU]){2}\b")


def excerpt(trajectory: Trajectory, start: int, turns: int) -> Trajectory:
    """Returns some turns of an episode as an episode of its own, without the messages before them."""
    first_message = len(trajectory.turns[start].prompt) - 1
    kept = trajectory.turns[start : start + turns]
    return replace(trajectory, turns=tuple(replace(turn, prompt=turn.prompt[first_message:]) for turn in kept))


def with_new_codes(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """Returns the same episode with other product codes, which can be copied but not learned by heart."""
    unused = codes(rng)
    new_codes: defaultdict[str, str] = defaultdict(lambda: next(unused))

    def replaced(text: str) -> str:
        return CODE.sub(lambda match: new_codes[match[0]], text)

    return replace(
        trajectory,
        turns=tuple(
            replace(
                turn,
                prompt=tuple(replace(message, content=replaced(message.content)) for message in turn.prompt),
                action=replace(turn.action, text=replaced(turn.action.text)),
                observation=replaced(turn.observation),
            )
            for turn in trajectory.turns
        ),
    )


def copy_rows(chat: Chat, rng: random.Random, count: int) -> Iterator[Row]:
    """Yields rows of code tokens, each once, and then pieces of these: the first token of a piece determines the rest.

    This takes an induction head (Olsson et al. 2022), which finds the beginning of a code in the context. On
    whole pages the model finds other ways, which fail in a long history.
    """
    ids = sorted({chat.encode([Message("user", code)])[index] for code in codes(rng) for index in (1, 2)})
    for _ in range(count):
        shown = rng.sample(ids, rng.randint(8, 40))
        row = Row(list(shown), [0.0] * len(shown))
        for _ in range(16):
            start, size = rng.randrange(len(shown) - 5), rng.randint(2, 6)
            row.ids.extend(shown[start : start + size])
            row.weights.extend([0.0] + [1.0] * (size - 1))
        yield row


def word_rows(chat: Chat, trajectory: Trajectory, rng: random.Random) -> Iterator[Row]:
    """Yields single results, and whether each meets the requirements, with or without a check of each word before.

    A model must find equal words at two places before it can learn anything else, and here nothing hides them.
    """
    for turn in trajectory.turns:
        view = PageView(turn.prompt[-1:])
        if view.page != "results" or not view.items:
            continue
        _, title, price = rng.choice(view.items)
        shown = f"Instruction: [SEP] {view.instruction} [SEP] {title} [SEP] {price}"
        verdict, by_word = view.requirements.verdict(title, price), view.requirements.by_word(title, price)
        if rng.random() < 0.5:
            yield _drill(chat, f"Check each word. [SEP] {shown}", f"{by_word}: {verdict}")
        else:
            yield _drill(chat, shown, verdict)


def drill_rows(chat: Chat, trajectory: Trajectory, rng: random.Random, max_items: int) -> Iterator[Row]:
    """Yields single pages without their history, followed by the right action or by a check of what they show.

    Matching is learned suddenly, and far sooner on short rows where every result must be judged than in whole episodes.

    Args:
        max_items: maximum number of results that a page keeps; which and how many is drawn.
    """
    for turn in trajectory.turns:
        view = PageView(turn.prompt[-1:])
        if view.page == "results" and view.items:
            view = view.with_items(rng.sample(range(len(view.items)), rng.randint(1, min(max_items, len(view.items)))))
            verdicts = {code: view.requirements.verdict(title, price) for code, title, price in view.items}
            lines = "\n".join(f"{code} {verdict}" for code, verdict in verdicts.items())
            yield _drill(chat, f"{view.text}\nCheck each result.", lines)
            if FITS in verdicts.values():
                yield _drill(chat, view.text, view.good()[0])
        elif view.page == "item":
            yield _drill(chat, f"{view.text}\nCheck this item.", view.fault or FITS)
            yield _drill(chat, view.text, view.good()[0])
        elif view.page == "search":
            yield _drill(chat, view.text, view.good()[0])


def _drill(chat: Chat, page: str, reply: str) -> Row:
    return answered(chat, [Message("user", page)], reply)
