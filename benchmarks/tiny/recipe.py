"""A recipe: texts for the tokenizer, and phases of supervised training, each from where the one before ended."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiktoken
import torch
from rich.console import Console

from benchmarks.tiny.pretrain import batches, fit, new_model
from benchmarks.tiny.rows import Row
from benchmarks.tiny.tokenizer import train_ranks
from hero.chat.base import Chat
from hero.chat.tiktoken import TiktokenChat
from hero.models import tiny
from hero.models.language_model import LanguageModel

LAYERS, HEADS, WIDTH = 4, 4, 128
console = Console()


@dataclass(frozen=True)
class Phase:
    """What is learned from where the phase before ended.

    Attributes:
        rows: of (chat, number of the batch of rows, rng); called with 0, 1, 2 and so on, without end.
        tokens: padded tokens a step.
        learning_rate: at its peak.
    """

    name: str
    rows: Callable[[Chat, int, random.Random], Iterator[Row]]
    steps: int
    tokens: int
    learning_rate: float


@dataclass(frozen=True)
class Recipe:
    """How one tiny policy is made.

    Attributes:
        texts: what the tokenizer is trained on: every kind of text that the model will see or write.
        pattern: what splits a text before the merges.
        vocabulary: ranks; the special tokens come on top.
        digits: every number of up to so many digits is one token.
    """

    texts: Callable[[random.Random], Iterator[str]]
    pattern: str
    vocabulary: int
    digits: int
    phases: tuple[Phase, ...]

    def make(self, out: Path, seed: int, shorten: float) -> None:
        """Trains the policy from nothing into a directory; goes on after the last phase that was finished there.

        Args:
            shorten: multiplies the steps of all phases.
        """
        out.mkdir(parents=True, exist_ok=True)
        if not (out / TiktokenChat.FILE).exists():
            with console.status("Playing episodes and training the tokenizer..."):
                ranks = train_ranks(self.texts(random.Random(seed)), self.pattern, self.vocabulary, self.digits)
            special = {token: len(ranks) + place for place, token in enumerate(TiktokenChat.SPECIAL)}
            TiktokenChat(
                tiktoken.Encoding("tiny", pat_str=self.pattern, mergeable_ranks=ranks, special_tokens=special)
            ).save(out)
        chat = tiny.load_chat(out)
        torch.manual_seed(seed)
        model: Any = new_model(chat.encoding.n_vocab, LAYERS, HEADS, WIDTH)
        for number, phase in enumerate(self.phases, 1):
            state = out / f"phase-{number}.pt"
            if state.exists():
                model.load_state_dict(torch.load(state))
                continue
            console.print(f"[bold]Phase {number}: {phase.name}[/]")
            rng = random.Random(f"{seed}-{number}")
            fit(model, _batches(phase, chat, rng), max(1, round(phase.steps * shorten)), phase.learning_rate, _log)
            torch.save(model.state_dict(), state)
        LanguageModel(model, chat, "tiny").save(out)


def _batches(phase: Phase, chat: Chat, rng: random.Random) -> Iterator[list[Row]]:
    """Without end."""
    number = 0
    while True:
        yield from batches(list(phase.rows(chat, number, rng)), phase.tokens, rng)
        number += 1


def _log(step: int, loss: float, right: float, seconds: float) -> None:
    console.print(f"step {step:5d}  loss {loss:.3f}  right {right:.3f}  {seconds:.0f} s", highlight=False)
