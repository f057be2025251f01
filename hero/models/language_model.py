"""A causal language model with the chat that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hero.chat.base import SavableChat
from hero.models.architecture import context_length
from hero.models.sampler import TransformersPolicy

MAX_NEW_TOKENS: Final = 256


@dataclass
class LanguageModel:
    """A causal language model and the chat that it reads: what trainer, policy and reflector share.

    Attributes:
        model: a `transformers` causal language model all of whose layers are attention.
        batch_tokens: decode that many padded tokens at a time, at most (but always one row): bounds the memory for
            keys and values.
    """

    model: Any
    chat: SavableChat
    name: str
    batch_tokens: int = 65_536

    @property
    def context(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        return context_length(self.model)

    def policy(
        self, *, temperature: float = 1.0, seed: int = 0, max_new_tokens: int = MAX_NEW_TOKENS, version: int = 0
    ) -> TransformersPolicy:
        """A policy on the current weights (no copy).

        Args:
            temperature: of sampling; 0 is greedy.
            seed: of its random numbers, 0 or more, together with the seeds that `act` is given.
            max_new_tokens: an action is cut off after that many.
            version: number of updates that the weights have seen; stands in `Tokens.policy_version`.
        """
        return TransformersPolicy(
            self, temperature=temperature, seed=seed, max_new_tokens=max_new_tokens, version=version
        )

    def save(self, path: Path) -> None:
        """Writes weights, configuration and vocabulary; `load` reads the directory."""
        path.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(path)
        self.chat.save(path)
