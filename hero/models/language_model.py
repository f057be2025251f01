"""A causal language model with the chat that encodes its conversations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hero.chat.base import SavableChat
from hero.models.architecture import context_length
from hero.models.sampler import KV_CACHE_BYTES, TransformersPolicy


@dataclass
class LanguageModel:
    """A causal language model and its chat, which trainer, policy and reflector share.

    Attributes:
        model: a `transformers` causal language model all of whose layers are attention.
        name: name of the model in messages.
        kv_cache_bytes: maximum size of all keys and values of a policy, as for `TransformersPolicy`.
        max_new_tokens: maximum length of an action, unless `policy` is given another.
        learning_rate: a learning rate that suits it where all weights are trained.
    """

    model: Any
    chat: SavableChat
    name: str
    kv_cache_bytes: int = KV_CACHE_BYTES
    max_new_tokens: int = 256
    learning_rate: float = 1e-5

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
            kv_cache_bytes=self.kv_cache_bytes,
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
