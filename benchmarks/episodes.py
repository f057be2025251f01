"""Episodes of random tokens, a stopwatch, and a switch to work turn by turn, for the benchmarks of the trainer."""

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
from hero.models import prefix_cache, sampler
from hero.models.kv_cache import CachedPrefix
from hero.types import Message, Tokens

OBSERVATION, ACTION, HINDSIGHT = 110, 7, 117
"""Mean numbers of tokens in a turn of the shipped policy: its observation, its action, and the hindsight on it."""


class Ledger:
    """A chat whose messages hold ids alone."""

    stop_ids: frozenset[int] = frozenset()

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return list(chain.from_iterable(message.ids for message in messages))

    def encode_reply(self, text: str) -> list[int]:
        return list(map(int, text.split()))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def episode(seed: int, turns: int, vocabulary: int, beginning: tuple[int, ...] = ()) -> list[Example]:
    """Returns the examples of an append-only episode with a finding about every turn; its index is the seed.

    Args:
        beginning: the ids of a system prompt; empty for an episode that has none in common with others.
    """
    rng = random.Random(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(vocabulary) for _ in range(count))

    ledger = beginning
    examples = []
    for _ in range(turns):
        tokens = Tokens(ledger + ids(OBSERVATION), ids(ACTION), (-1.0,) * ACTION)
        privileged = (Message("user", "", tokens.prompt_ids), Message("user", "", ids(HINDSIGHT)))
        examples.append(Example(seed, tokens, teacher=privileged, distillation=1.0))
        ledger = tokens.prompt_ids + tokens.action_ids
    return examples


def medians(arms: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Returns the median seconds of each arm; the arms take turns. Run each once before, so that it is warm."""
    times: list[list[float]] = [[] for _ in arms]
    for _ in range(repeats):
        for arm, seconds in zip(arms, times, strict=True):
            start = time.perf_counter()
            arm()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    return [median(seconds) for seconds in times]


@contextmanager
def turn_by_turn() -> Iterator[None]:
    """Makes policy, student and teacher read the whole prompt of every turn within the block."""

    def apart(examples: Sequence[Example]) -> list[Row]:
        return student_rows([replace(example, episode=index) for index, example in enumerate(examples)])

    with ExitStack() as stack:
        stack.enter_context(patch.object(sampler, "longest_prefix", lambda prefixes, prompt: CachedPrefix()))
        stack.enter_context(patch.object(scorer, "can_share_prefix", lambda model: False))
        stack.enter_context(patch.object(batch, "student_rows", apart))
        yield


@contextmanager
def beginnings_apart() -> Iterator[None]:
    """Makes student and teacher read the beginning of every episode within the block, also where all have the same."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(scorer, "share_beginnings", lambda rows: ([*rows], [])))
        stack.enter_context(patch.object(prefix_cache, "_shared_columns", lambda model, ids: 0))
        yield
