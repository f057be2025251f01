"""Rows of WebShop that only the recipe needs: pages without their history, single results, pieces to copy."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.tiny.rows import Row, answered
from benchmarks.tiny.shopper import FITS, View
from hero.chat.base import Chat
from hero.envs.webshop.catalogue.embedded import codes
from hero.types import Message, Trajectory

CODE = re.compile(r"\b(?:[B-DF-HJ-NP-TV-Z][AEIOU]){2}\b")


def recoded(trajectory: Trajectory, rng: random.Random) -> Trajectory:
    """The same episode with other product codes, which can be copied but not learned by heart."""
    fresh = codes(rng)
    names: defaultdict[str, str] = defaultdict(lambda: next(fresh))

    def text(old: str) -> str:
        return CODE.sub(lambda code: names[code[0]], old)

    return replace(
        trajectory,
        turns=tuple(
            replace(
                turn,
                prompt=tuple(replace(message, content=text(message.content)) for message in turn.prompt),
                action=replace(turn.action, text=text(turn.action.text)),
                observation=text(turn.observation),
            )
            for turn in trajectory.turns
        ),
    )


def copy_rows(chat: Chat, rng: random.Random, count: int) -> Iterator[Row]:
    """Tokens of codes, each once, and then pieces of that: after the first token of a piece the others are known.

    Here copying takes an induction head (Olsson et al. 2022), which finds the beginning of a code in the context. On
    whole pages the model finds other ways, which fail in a long history.
    """
    ids = sorted({chat.encode([Message("user", code)])[place] for code in codes(rng) for place in (1, 2)})
    for _ in range(count):
        shown = rng.sample(ids, rng.randint(8, 40))
        row = Row(list(shown), [0.0] * len(shown))
        for _ in range(16):
            start, size = rng.randrange(len(shown) - 5), rng.randint(2, 6)
            row.ids.extend(shown[start : start + size])
            row.weights.extend([0.0] + [1.0] * (size - 1))
        yield row


def word_rows(chat: Chat, trajectory: Trajectory, rng: random.Random) -> Iterator[Row]:
    """Single results with nothing else: does it serve the instruction, with or without a look at each word first?

    Two equal words have to be found at two places before anything else can be learned, and here nothing hides them.
    """
    for turn in trajectory.turns:
        view = View(turn.prompt[-1:])
        if view.page != "results" or not view.items:
            continue
        _, title, price = rng.choice(view.items)
        shown = f"Instruction: [SEP] {view.instruction} [SEP] {title} [SEP] {price}"
        verdict = view.wish.verdict(title, price)
        if rng.random() < 0.5:
            yield _drill(chat, f"Check each word. [SEP] {shown}", f"{view.wish.by_word(title, price)}: {verdict}")
        else:
            yield _drill(chat, shown, verdict)


def drill_rows(chat: Chat, trajectory: Trajectory, rng: random.Random, most: int) -> Iterator[Row]:
    """Single pages without their history: what is right on them, and a check of what they show against the instruction.

    Matching is learned suddenly, and far sooner on short rows where every result must be judged than in whole episodes.

    Args:
        most: results that a page keeps at most; which and how many is drawn.
    """
    for turn in trajectory.turns:
        view = View(turn.prompt[-1:])
        if view.page == "results" and view.items:
            view = view.keeping(rng.sample(range(len(view.items)), rng.randint(1, min(most, len(view.items)))))
            verdicts = {code: view.wish.verdict(title, price) for code, title, price in view.items}
            checked = "\n".join(f"{code} {verdict}" for code, verdict in verdicts.items())
            yield _drill(chat, f"{view.text}\nCheck each result.", checked)
            if FITS in verdicts.values():
                yield _drill(chat, view.text, view.good()[0])
        elif view.page == "item":
            yield _drill(chat, f"{view.text}\nCheck this item.", view.fault or FITS)
            yield _drill(chat, view.text, view.good()[0])
        elif view.page == "search":
            yield _drill(chat, view.text, view.good()[0])


def _drill(chat: Chat, page: str, reply: str) -> Row:
    return answered(chat, [Message("user", page)], reply)
