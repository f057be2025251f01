"""Sample from a language model in batches, with the log-probability of every token.

Shapes: B rows of a batch, T new tokens at most, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from hero.chat.base import Chat
from hero.errors import ConfigError, PolicyError
from hero.models.architecture import context_length
from hero.models.cache_layers import kv_bytes_per_token
from hero.models.kv_cache import CachedPrefix, PrefixStore, longest_prefix, prefill
from hero.models.lora_sampling import quick_adapters
from hero.types import Action, Message, Tokens

KV_CACHE_BYTES: Final = 8 * 2**30
"""Default of the maximum size of all keys and values."""


class TransformersPolicy:
    """Samples from a causal language model, all prompts at a time.

    Keys and values of the latest prompts and actions are kept: of a prompt that extends one of them, only the new part
    is read. An answer depends on the policy's seed, the seed given to `act` and the prompt alone, neither on the rest
    of the batch nor on earlier calls. That is promised of ids; the last bits of log-probabilities vary with the shapes
    that a batch is computed in. An id could follow them only where a random number falls into that difference, about
    one token in a million in float32.

    Args:
        model: a transformers causal language model all of whose layers are attention.
        name: name of the model in messages.
        kv_cache_bytes: maximum size of all keys and values, but those of one row in any case. A quarter is for the rows
            that are decoded at a time, which exist twice while prompts are read in parts; a quarter is kept between
            calls, and exists twice near the end of a call.
        temperature: 0 is greedy.
        seed: seed of the random numbers, 0 or more, together with the seeds that `act` is given.
        max_new_tokens: maximum length of an action, which is cut off there.
        version: number of updates that the weights have seen; recorded in `Tokens.policy_version`.

    Raises:
        ConfigError: a negative or infinite temperature, a negative seed, or `max_new_tokens` below 1.
    """

    def __init__(
        self,
        model: Any,
        chat: Chat,
        name: str,
        *,
        kv_cache_bytes: int = KV_CACHE_BYTES,
        temperature: float,
        seed: int,
        max_new_tokens: int,
        version: int,
    ) -> None:
        if not 0 <= temperature < math.inf:
            raise ConfigError(f"a temperature of {temperature} is not possible; give 0 (greedy) or more")
        if max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens = {max_new_tokens} leaves no room to act; give at least 1")
        if seed < 0:
            raise ConfigError(f"a seed of {seed} is not possible; give 0 or more")
        self.model = model
        self.chat = chat
        self.name = name
        self.kv_cache_bytes = kv_cache_bytes
        self.temperature = temperature
        self.seed = seed
        self.max_new_tokens = max_new_tokens
        self.version = version
        self._generator = np.random.default_rng(seed)
        self._prefixes: list[CachedPrefix] = []
        self._weight_sums: Tensor | None = None
        self._token_bytes = 1
        """Size of the keys and values of a token, known once there are weights' sums."""

    @property
    def context_length(self) -> int:
        """Maximum number of tokens that a prompt and its reply may have together."""
        return context_length(self.model)

    @property
    def _recorded_temperature(self) -> float:
        """Temperature of the log-probabilities: that of sampling, and 1 where nothing is sampled."""
        return self.temperature or 1.0

    def count(self, prompt: Sequence[Message]) -> int:
        """Returns the number of tokens of the prompt and the longest reply to it."""
        return len(self.chat.encode(prompt)) + self.max_new_tokens

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Answers each prompt.

        Args:
            seeds: one per prompt, 0 or more; None to draw them from a generator that goes on from call to call.

        Raises:
            PolicyError: a prompt leaves no room in the model's context, or logits are not finite.
        """
        if not prompts:
            return []
        encoded = [tuple(self.chat.encode(prompt)) for prompt in prompts]
        require_room(max(map(len, encoded)), self.context_length, self.name)
        uniforms_BT = self._uniforms(len(prompts), seeds)
        actions: list[Action | None] = [None] * len(encoded)
        store = PrefixStore(self.kv_cache_bytes // 4)
        with _inference(self.model):
            self._forget_if_trained()
            for rows in self._batches(encoded):
                replies = self._decode([encoded[row] for row in rows], uniforms_BT[rows], store)
                for row, reply in zip(rows, replies, strict=True):
                    actions[row] = self._action(encoded[row], reply)
        self._prefixes = store.prefixes
        return [action for action in actions if action is not None]

    def _uniforms(self, count: int, seeds: Sequence[int] | None) -> Tensor:
        """Returns a random number for each token of each reply [B, T].

        A row has T of them however short its reply turns out, and begins like a longer row of the same seed.
        """
        if seeds is None:
            seeds = self._generator.integers(2**63, size=count).tolist()
        streams = [
            np.random.SeedSequence(self.seed, spawn_key=(seed,)) for _, seed in zip(range(count), seeds, strict=True)
        ]
        rows = [np.random.default_rng(stream).random(self.max_new_tokens) for stream in streams]
        return torch.tensor(np.stack(rows))

    def _batches(self, encoded: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
        """Yields rows to decode together, of like length."""
        tokens = self.kv_cache_bytes // 4 // self._token_bytes
        batch: list[int] = []
        for row in sorted(range(len(encoded)), key=lambda row: len(encoded[row])):
            if batch and (len(batch) + 1) * (len(encoded[row]) + self.max_new_tokens) > tokens:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    def _decode(self, prompts: Sequence[tuple[int, ...]], uniforms_BT: Tensor, store: PrefixStore) -> list[_Reply]:
        """Samples replies to prompts in one batch; adds the keys and values of prompt and reply to `store`."""
        replies = [_Reply(min(self.max_new_tokens, self.context_length - len(prompt))) for prompt in prompts]
        past = [longest_prefix(self._prefixes, prompt) for prompt in prompts]
        batch, logits_BV = prefill(self.model, past, prompts, self.max_new_tokens - 1)
        rows = list(range(len(prompts)))  # the prompts that are still in the batch
        unfinished = set(rows)
        for step in range(self.max_new_tokens):
            tokens_B, logprobs_B = self._sample(logits_BV, uniforms_BT[rows, step])
            for index, (row, token, logprob) in enumerate(
                zip(rows, tokens_B.tolist(), logprobs_B.tolist(), strict=True)
            ):
                if row not in unfinished:
                    continue
                if math.isnan(logprob):
                    raise self._not_finite(len(prompts[row]), step)
                if replies[row].append(token, logprob, self.chat.stop_ids):
                    unfinished.remove(row)
                    store.add(batch.extract(index, (*prompts[row], *replies[row].ids[:-1])))
            if not unfinished:
                break
            if 2 * len(unfinished) <= len(rows):
                indices = [index for index, row in enumerate(rows) if row in unfinished]
                batch.select(indices)
                rows, tokens_B = [rows[index] for index in indices], tokens_B[indices]
            logits_BV = batch.forward(tokens_B[:, None])
        return replies

    def _sample(self, logits_BV: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
        """Samples a token of each row; returns them [B] with their log-probabilities [B] at `_recorded_temperature`.

        A log-probability is NaN where a logit is NaN or infinite, or none is finite.
        """
        scores_BV = (logits_BV.float() / self._recorded_temperature).log_softmax(-1)
        if self.temperature == 0:
            tokens_B = scores_BV.argmax(-1)
        else:
            # The inverse of the distribution function. Scaling by its last value keeps rounding out of it.
            cumulative_BV = scores_BV.double().exp().cumsum(-1)
            targets_B1 = uniforms_B.to(cumulative_BV.device)[:, None] * cumulative_BV[:, -1:]
            tokens_B = torch.searchsorted(cumulative_BV, targets_B1, right=True)[:, 0]
            tokens_B = tokens_B.clamp(max=scores_BV.shape[-1] - 1)
        return tokens_B, scores_BV.gather(-1, tokens_B[:, None])[:, 0]

    def _not_finite(self, prompt: int, sampled: int) -> PolicyError:
        return PolicyError(
            f"{self.name} gives logits that are not finite after a prompt of {prompt} tokens and {sampled} of its "
            f"own, with the weights of update {self.version}, at temperature {self._recorded_temperature:g}; give a "
            "higher temperature or a lower learning_rate, or fetch the model again"
        )

    def _action(self, prompt: tuple[int, ...], reply: _Reply) -> Action:
        ids, logprobs = tuple(reply.ids), tuple(reply.logprobs)
        tokens = Tokens(prompt, ids, logprobs, self.version, self._recorded_temperature)
        return Action(self.chat.decode(reply.ids), tokens, reply.cut_off)

    def _forget_if_trained(self) -> None:
        """Drops keys and values of other weights; the check costs about as much as decoding one token."""
        sums = torch.stack([parameter.sum(dtype=torch.float64) for parameter in self.model.parameters()])
        if self._weight_sums is None or not torch.equal(sums, self._weight_sums):
            self._prefixes, self._weight_sums = [], sums
            self._token_bytes = kv_bytes_per_token(self.model)


class _Reply:
    """The tokens of one reply so far."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.cut_off = False

    def append(self, token: int, logprob: float, stop_ids: frozenset[int]) -> bool:
        """Adds a token; returns whether it is the last."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.cut_off = token not in stop_ids and len(self.ids) == self.max_tokens
        return token in stop_ids or self.cut_off


def require_room(tokens: int, context_length: int, name: str) -> None:
    """Raises PolicyError if a prompt of so many tokens leaves none for a reply."""
    if tokens >= context_length:
        raise PolicyError(
            f"a prompt of {tokens} tokens leaves no room in the context of {name}, {context_length} tokens; "
            "end episodes earlier (max_turns, max_tokens) or show fewer turns (window)"
        )


@contextmanager
def _inference(model: Any) -> Iterator[None]:
    """Turns gradients and dropout off, and computes adapters quickly, while the block runs."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), quick_adapters(model):
            yield
    finally:
        model.train(training)
