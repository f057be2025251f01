"""Demonstrations as rows of token ids, with a weight on each token that is to be learned."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.tiny.shopper import FITS, View, as_lines, review
from hero.chat import Chat
from hero.distill.teacher import HindsightTeacher
from hero.envs.webshop.catalogue import codes
from hero.reflect.feedback import FeedbackReflector
from hero.reflect.model import conversation
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict


@dataclass(frozen=True)
class Row:
    """One sequence to train on.

    Attributes:
        weights: loss weight of each of `ids` as a prediction from those before it.
    """

    ids: list[int]
    weights: list[float]


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


def excerpt(trajectory: Trajectory, start: int, turns: int) -> Trajectory:
    """Some turns of an episode as an episode of its own, which knows nothing of those before."""
    before = len(trajectory.turns[start].prompt) - 1
    kept = trajectory.turns[start : start + turns]
    return replace(trajectory, turns=tuple(replace(turn, prompt=turn.prompt[before:]) for turn in kept))


def episode_row(chat: Chat, trajectory: Trajectory, imitate: bool) -> Row:
    """A whole episode and the review of it.

    Args:
        imitate: learn every action as it was taken; otherwise only those that are right.
    """
    messages = conversation(trajectory)
    ids = chat.encode(messages)
    weights = [0.0] * len(ids)
    for turn in trajectory.turns:
        if imitate or View(turn.prompt).is_good(turn.action.text):
            start = len(chat.encode(turn.prompt))
            end = len(chat.encode([*turn.prompt, turn.action.message()])) - 1  # less the header of the next reply
            weights[start:end] = [1.0] * (end - start)
    answer = reply_ids(chat, messages, as_lines(review(trajectory)))
    return Row(ids + answer, weights + [1.0] * len(answer))


def review_row(chat: Chat, trajectory: Trajectory) -> Row:
    """An episode of which only the review is learned."""
    return _answered(chat, conversation(trajectory), as_lines(review(trajectory)))


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
    return _answered(chat, [Message("user", page)], reply)


def _answered(chat: Chat, messages: Sequence[Message], reply: str) -> Row:
    ids, answer = chat.encode(messages), reply_ids(chat, messages, reply)
    return Row(ids + answer, [0.0] * len(ids) + [1.0] * len(answer))


def reply_ids(chat: Chat, messages: Sequence[Message], text: str) -> list[int]:
    """The ids of a reply, the stop token included."""
    prompt = chat.encode(messages)
    return chat.encode([*messages, Message("assistant", text)])[len(prompt) : -1]


def teacher_rows(chat: Chat, trajectory: Trajectory, rng: random.Random, share: float) -> Iterator[Row]:
    """Turns as the self-teacher sees them, followed by what is right: how the model learns to follow advice."""
    perfect, feedback = review(trajectory), FeedbackReflector().reflect([trajectory])[0]
    for finding in perfect.findings:
        if rng.random() >= share:
            continue
        turn, chance = trajectory.turns[finding.turn], rng.random()
        target = turn.action.text if finding.verdict is Verdict.USEFUL else finding.advice
        shown = Diagnosis("review", (finding,))
        if chance < 0.15:
            shown = Diagnosis("review", (Finding(finding.turn, finding.verdict),))
        elif chance < 0.35:
            shown = feedback
        context = HindsightTeacher().context(trajectory, finding.turn, shown)
        if context is None:
            continue
        yield _answered(chat, context, target)
