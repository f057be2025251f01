"""A causal language model with the chat that encodes its conversations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hero.chat.base import SavableChat
from hero.models.architecture import context_length
from hero.models.sampler import TransformersPolicy


@dataclass
class LanguageModel:
    """A causal language model and its chat, which trainer, policy and reflector share.

    Attributes:
        model: a `transformers` causal language model all of whose layers are attention.
        name: name of the model in messages.
        batch_tokens: maximum number of padded tokens that a policy decodes at a time (but always one row): bounds the
            memory for keys and values.
        max_new_tokens: maximum length of an action, unless `policy` is given another.
    """

    model: Any
    chat: SavableChat
    name: str
    batch_tokens: int = 65_536
    max_new_tokens: int = 256

    @property
    def context_length(self) -> int:
        """Maximum number of tokens that a prompt and its reply may have together."""
        return context_length(self.model)

    def policy(
        self, *, temperature: float = 1.0, seed: int = 0, max_new_tokens: int | None = None, version: int = 0
    ) -> TransformersPolicy:
        """Returns a policy on the current weights (no copy); its arguments are those of `TransformersPolicy`."""
        return TransformersPolicy(
            self.model,
            self.chat,
            self.name,
            batch_tokens=self.batch_tokens,
            temperature=temperature,
            seed=seed,
            max_new_tokens=self.max_new_tokens if max_new_tokens is None else max_new_tokens,
            version=version,
        )

    def save(self, path: Path) -> None:
        """Writes weights, configuration and vocabulary into a directory, which `load` reads."""
        path.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(path)
        self.chat.save(path)
