"""Makes a tiny policy: a tokenizer, then phases of supervised training, each from the weights of the last."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from hero.chat.base import Chat
from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError
from hero.models import tiny
from hero.models.language_model import LanguageModel
from hero.warm.rows import Row
from hero.warm.supervised import batches, fit
from hero.warm.tokenizer import train_ranks

LAYERS, HEADS, WIDTH = 4, 4, 128


@dataclass(frozen=True)
class Phase:
    """Rows to learn, and how long and how fast.

    Attributes:
        rows: function of a chat, an index and a random generator, called without end with the indices 0, 1, 2, ...
        tokens: maximum number of tokens in a step, padding included.
        learning_rate: at its peak.
    """

    name: str
    rows: Callable[[Chat, int, random.Random], Iterator[Row]]
    steps: int
    tokens: int
    learning_rate: float


def _ignore(phase: Phase, lm: LanguageModel) -> None:
    """Does nothing."""


@dataclass(frozen=True)
class Recipe:
    """Everything that makes one tiny policy.

    Attributes:
        texts: yields every kind of text that the model will see or write, to train the tokenizer on.
        pattern: regular expression that splits a text before the merges.
        vocabulary: number of ranks; the special tokens come on top.
        digits: every number of up to this many digits is one token.
        start: directory of a tiny policy to go on from, whose tokenizer it keeps; None for one from nothing.
    """

    texts: Callable[[random.Random], Iterator[str]]
    pattern: str
    vocabulary: int
    digits: int
    phases: tuple[Phase, ...]
    start: Path | None = None

    def make(
        self,
        out: Path,
        *,
        seed: int,
        shorten: float = 1.0,
        on_step: Callable[[Phase, int, float, float], None],
        on_phase_end: Callable[[Phase, LanguageModel], None] = _ignore,
    ) -> None:
        """Trains the policy into a directory, from `start` or from the last phase that was finished there.

        Args:
            shorten: factor on the steps of all phases.
            on_step: is called now and then with a phase, its step, and the mean loss and share of right tokens since.
            on_phase_end: is called with each phase that was trained, and the policy as it is then.
        """
        out.mkdir(parents=True, exist_ok=True)
        if self.start:
            tiny.load_chat(self.start).save(out)
        elif not (out / TiktokenChat.FILE).exists():
            ranks = train_ranks(self.texts(random.Random(seed)), self.pattern, self.vocabulary, self.digits)
            TiktokenChat.of(ranks, self.pattern).save(out)
        chat = tiny.load_chat(out)
        torch.manual_seed(seed)
        model: Any = (
            tiny.load(self.start).model if self.start else tiny.new_model(chat.encoding.n_vocab, LAYERS, HEADS, WIDTH)
        )
        for index, phase in enumerate(self.phases, 1):
            state = out / f"phase-{index}-{phase.name.replace(' ', '-')}.pt"  # which is of no other recipe
            if state.exists():
                model.load_state_dict(torch.load(state))
                continue
            rng = random.Random(f"{seed}-{index}")
            steps = max(1, round(phase.steps * shorten))
            context = model.config.max_position_embeddings
            fit(model, _batches(phase, chat, rng, context), steps, phase.learning_rate, partial(on_step, phase))
            torch.save(model.state_dict(), unfinished := out / "unfinished.pt")
            unfinished.replace(state)  # at once, so that no half of a phase is ever gone on from
            on_phase_end(phase, LanguageModel(model, chat, "tiny"))
        LanguageModel(model, chat, "tiny").save(out)


def _batches(phase: Phase, chat: Chat, rng: random.Random, context: int) -> Iterator[list[Row]]:
    """Yields batches without end.

    Raises:
        ConfigError: a row is longer than the context.
    """
    for index in count():
        rows = list(phase.rows(chat, index, rng))
        if (longest := max((len(row.ids) for row in rows), default=0)) > context:
            raise ConfigError(
                f"an episode has {longest} tokens, and the base reads {context}; play fewer turns (--max-turns), or "
                "shorten the observations"
            )
        yield from batches(rows, phase.tokens, rng)
