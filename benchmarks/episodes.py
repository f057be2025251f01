"""Episodes of random tokens, a stopwatch, and how it is done turn by turn: what benchmarks of the trainer share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from hero.distill import batch, scorer
from hero.distill.base import Example
from hero.distill.pack import Row, student_rows
from hero.models import sampler
from hero.models.kv_cache import CachedPrefix
from hero.types import Message, Tokens

OBSERVATION, ACTION, HINDSIGHT = 110, 7, 117
"""Mean tokens of a turn of the shipped policy: what it sees, what it says, and what hindsight adds."""


class Ledger:
    """A chat of ids alone."""

    stop_ids: frozenset[int] = frozenset()

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return list(chain.from_iterable(message.ids for message in messages))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def episode(number: int, turns: int, vocabulary: int) -> list[Example]:
    """An append-only episode, something said of every turn."""
    drawn = random.Random(number)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(drawn.randrange(vocabulary) for _ in range(count))

    ledger: tuple[int, ...] = ()
    found = []
    for _ in range(turns):
        tokens = Tokens(ledger + ids(OBSERVATION), ids(ACTION), (-1.0,) * ACTION)
        told = (Message("user", "", tokens.prompt_ids), Message("user", "", ids(HINDSIGHT)))
        found.append(Example(number, tokens, teacher=told, distillation=1.0))
        ledger = tokens.prompt_ids + tokens.action_ids
    return found


def medians(arms: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Median seconds of each arm, the arms taking turns. Each should have run before, to be warm."""
    times: list[list[float]] = [[] for _ in arms]
    for _ in range(repeats):
        for arm, spent in zip(arms, times, strict=True):
            began = time.perf_counter()
            arm()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - began)
    return [median(spent) for spent in times]


@contextmanager
def turn_by_turn() -> Iterator[None]:
    """Within the block nothing is read once for several turns: policy, student and teacher read each turn's prompt."""

    def apart(examples: Sequence[Example]) -> list[Row]:
        return student_rows([replace(example, episode=number) for number, example in enumerate(examples)])

    with ExitStack() as stack:
        stack.enter_context(patch.object(sampler, "longest_prefix", lambda prefixes, prompt: CachedPrefix()))
        stack.enter_context(patch.object(scorer, "can_share_prefix", lambda model: False))
        stack.enter_context(patch.object(batch, "student_rows", apart))
        yield
