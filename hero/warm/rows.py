"""Turns demonstrations into rows of token ids, with a weight on each token that is to be learned."""

from __future__ import annotations

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.reflect.feedback import FeedbackReflector
from hero.reflect.model import review_prompt
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict


@dataclass(frozen=True)
class Row:
    """One sequence to train on.

    Attributes:
        weights: loss weight of each of `ids` as a prediction from those before it.
    """

    ids: list[int]
    weights: list[float]


def answered(chat: Chat, messages: Sequence[Message], reply: str) -> Row:
    """Returns a row of a conversation and a reply, of which only the reply is learned."""
    prompt_ids, answer_ids = chat.encode(messages), reply_ids(chat, messages, reply)
    return Row(prompt_ids + answer_ids, [0.0] * len(prompt_ids) + [1.0] * len(answer_ids))


def reply_ids(chat: Chat, messages: Sequence[Message], text: str) -> list[int]:
    """Returns the ids of a reply, the stop token included."""
    prompt = chat.encode(messages)
    return chat.encode([*messages, Message("assistant", text)])[len(prompt) : -1]


def episode_row(
    chat: Chat, trajectory: Trajectory, review: Diagnosis, imitate: bool, left_out: Container[str] = ()
) -> Row:
    """Returns a row of a whole episode and the review of it.

    Args:
        imitate: learn every action as it was taken; otherwise only the actions that the review calls useful.
        left_out: actions that are not learned.
    """
    messages = review_prompt(trajectory)
    ids = chat.encode(messages)
    weights = [0.0] * len(ids)
    for finding in review.findings:
        turn = trajectory.turns[finding.turn]
        if (imitate or finding.verdict is Verdict.USEFUL) and turn.action.text not in left_out:
            start = len(chat.encode(turn.prompt))
            end = len(chat.encode([*turn.prompt, turn.action.message()])) - 1  # without the header of the next reply
            weights[start:end] = [1.0] * (end - start)
    review_ids = reply_ids(chat, messages, as_lines(review))
    return Row(ids + review_ids, weights + [1.0] * len(review_ids))


def review_row(chat: Chat, trajectory: Trajectory, review: Diagnosis) -> Row:
    """Returns a row of an episode and the review of it, of which only the review is learned."""
    return answered(chat, review_prompt(trajectory), as_lines(review))


def teacher_rows(
    chat: Chat, trajectory: Trajectory, review: Diagnosis, rng: random.Random, share: float
) -> Iterator[Row]:
    """Yields prompts of the self-teacher with the right action as the reply, so that the model learns to follow advice.

    Args:
        share: probability that a turn is among them.
    """
    feedback = FeedbackReflector().reflect([trajectory])[0]
    for finding in review.findings:
        if rng.random() >= share:
            continue
        turn, chance = trajectory.turns[finding.turn], rng.random()
        target = turn.action.text if finding.verdict is Verdict.USEFUL else finding.advice
        hindsight = Diagnosis("review", (finding,))
        if chance < 0.15:
            hindsight = Diagnosis("review", (Finding(finding.turn, finding.verdict),))
        elif chance < 0.35:
            hindsight = feedback
        if context := HindsightTeacher().context(trajectory, finding.turn, hindsight):
            yield answered(chat, context, target)


def as_lines(review: Diagnosis) -> str:
    """Returns a review in the form that `hero.reflect.model` asks for."""
    lines = []
    for finding in review.findings:
        cause = f": {finding.cause}" if finding.cause else ""
        advice = f"; instead: {finding.advice}" if finding.advice else ""
        lines.append(f"{finding.turn + 1} {finding.verdict}{cause}{advice}")
    return "\n".join(lines)
