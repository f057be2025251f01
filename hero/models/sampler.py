"""Sampling from a language model in batches, with the log-probability of every token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from hero.errors import ConfigError, PolicyError
from hero.models.kv_cache import Kept, Sequenced, longest_prefix, prefill
from hero.types import Action, Message, Tokens

if TYPE_CHECKING:
    from hero.models.language_model import LanguageModel

KEPT_BYTES: Final = 2 * 2**30
"""Keys and values that a policy keeps from call to call, at most; towards the end of a call there are twice as many."""


class TransformersPolicy:
    """Samples from a `LanguageModel`, all prompts at a time.

    Keys and values of the latest prompts and actions are kept: of a prompt that extends one of them, only the new part
    is read. An answer depends on the policy's seed, the seed given to `act` and the prompt alone, neither on the rest
    of the batch nor on earlier calls. That is promised of ids; the last bits of log-probabilities vary with the shapes
    that a batch is computed in. An id could follow them only where a random number falls into that difference, about
    one token in a million in float32.

    Raises:
        ConfigError: a negative or infinite temperature, a negative seed, or `max_new_tokens` below 1.
    """

    def __init__(self, lm: LanguageModel, *, temperature: float, seed: int, max_new_tokens: int, version: int) -> None:
        if not 0 <= temperature < math.inf:
            raise ConfigError(f"a temperature of {temperature} is not possible; give 0 (greedy) or more")
        if max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens = {max_new_tokens} leaves no room to act; give at least 1")
        if seed < 0:
            raise ConfigError(f"a seed of {seed} is not possible; give 0 or more")
        self.lm = lm
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.version = version
        self.seed = seed
        self._generator = np.random.default_rng(seed)
        self._kept: list[Sequenced] = []
        self._kept_for: Tensor | None = None

    @property
    def context(self) -> int:
        """The most tokens that a prompt and its reply may have together."""
        return self.lm.context

    @property
    def _stated_temperature(self) -> float:
        """Of log-probabilities: that of sampling, 1 where nothing is sampled."""
        return self.temperature or 1.0

    def count(self, prompt: Sequence[Message]) -> int:
        """The tokens of the prompt and the longest reply to it."""
        return len(self.lm.chat.encode(prompt)) + self.max_new_tokens

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Answers each prompt.

        Args:
            seeds: one per prompt, 0 or more; None to draw them from a generator that goes on from call to call.

        Raises:
            PolicyError: a prompt leaves no room in the model's context, or logits are not finite.
        """
        if not prompts:
            return []
        encoded = [tuple(self.lm.chat.encode(prompt)) for prompt in prompts]
        longest = max(map(len, encoded))
        if longest >= self.context:
            raise PolicyError(
                f"a prompt of {longest} tokens leaves no room in the context of {self.lm.name}, {self.context} tokens; "
                "end episodes earlier (max_turns, max_tokens) or show fewer turns (window)"
            )
        if seeds is None:
            seeds = self._generator.integers(2**63, size=len(prompts)).tolist()
        streams = [np.random.SeedSequence(self.seed, spawn_key=(seed,)) for _, seed in zip(prompts, seeds, strict=True)]
        # As many numbers whatever is sampled of a reply; a longer one begins with those of a shorter one.
        chances = torch.tensor(np.stack([np.random.default_rng(s).random(self.max_new_tokens) for s in streams]))
        actions: list[Action | None] = [None] * len(encoded)
        kept = Kept(KEPT_BYTES)
        with _inference(self.lm.model):
            self._forget_if_trained()
            for rows in self._batches(encoded):
                replies = self._decode([encoded[row] for row in rows], chances[rows], kept)
                for row, reply in zip(rows, replies, strict=True):
                    actions[row] = self._action(encoded[row], reply)
        self._kept = kept.sequences
        return [action for action in actions if action is not None]

    def _batches(self, encoded: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
        """Rows to decode together, of like length."""
        batch: list[int] = []
        for row in sorted(range(len(encoded)), key=lambda row: len(encoded[row])):
            if batch and (len(batch) + 1) * (len(encoded[row]) + self.max_new_tokens) > self.lm.batch_tokens:
                yield batch
                batch = []
            batch.append(row)
        yield batch

    def _decode(self, prompts: Sequence[tuple[int, ...]], chances: Tensor, kept: Kept) -> list[_Reply]:
        """Replies to prompts; adds to `kept` what the model remembers of prompt and reply."""
        model, stop_ids = self.lm.model, self.lm.chat.stop_ids
        replies = [_Reply(min(self.max_new_tokens, self.context - len(prompt))) for prompt in prompts]
        past = [longest_prefix(self._kept, prompt) for prompt in prompts]
        batch, logits = prefill(model, past, prompts, self.max_new_tokens - 1)
        rows = list(range(len(prompts)))  # of the prompts, in the batch
        going = set(rows)
        for step in range(self.max_new_tokens):
            tokens, logprobs = self._sample(logits, chances[rows, step])
            for place, (row, token, logprob) in enumerate(zip(rows, tokens.tolist(), logprobs.tolist(), strict=True)):
                if row not in going:
                    continue
                if math.isnan(logprob):
                    raise self._not_finite(len(prompts[row]), step)
                if replies[row].append(token, logprob, stop_ids):
                    going.remove(row)
                    kept.add(batch.take(place, (*prompts[row], *replies[row].ids[:-1])))
            if not going:
                break
            if 2 * len(going) <= len(rows):
                places = [place for place, row in enumerate(rows) if row in going]
                batch.select(places)
                rows, tokens = [rows[place] for place in places], tokens[places]
            logits = batch.forward(tokens[:, None])
        return replies

    def _sample(self, logits: Tensor, chances: Tensor) -> tuple[Tensor, Tensor]:
        """A token of each row, and its log-probability at `_stated_temperature`: NaN where a logit is NaN or inf, or
        none is finite.
        """
        scores = (logits.float() / self._stated_temperature).log_softmax(-1)
        if self.temperature == 0:
            tokens = scores.argmax(-1)
        else:
            # The inverse of the distribution function. Scaling by its last value keeps rounding out of it.
            cumulative = scores.double().exp().cumsum(-1)
            targets = chances.to(cumulative.device)[:, None] * cumulative[:, -1:]
            tokens = torch.searchsorted(cumulative, targets, right=True)[:, 0].clamp(max=scores.shape[-1] - 1)
        return tokens, scores.gather(-1, tokens[:, None])[:, 0]

    def _not_finite(self, prompt: int, sampled: int) -> PolicyError:
        return PolicyError(
            f"{self.lm.name} gives logits that are not finite after a prompt of {prompt} tokens and {sampled} of its "
            f"own, by the weights of update {self.version}, at temperature {self._stated_temperature:g}; give a higher "
            "temperature or a lower learning_rate, or fetch the model again"
        )

    def _action(self, prompt: tuple[int, ...], reply: _Reply) -> Action:
        ids, logprobs = tuple(reply.ids), tuple(reply.logprobs)
        tokens = Tokens(prompt, ids, logprobs, self.version, self._stated_temperature)
        return Action(self.lm.chat.decode(reply.ids), tokens, reply.cut_off)

    def _forget_if_trained(self) -> None:
        """Drops keys and values of other weights; the check costs about as much as decoding one token."""
        now = torch.stack([parameter.sum(dtype=torch.float64) for parameter in self.lm.model.parameters()])
        if self._kept_for is None or not torch.equal(now, self._kept_for):
            self._kept, self._kept_for = [], now


class _Reply:
    """What has been sampled of one reply."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.cut_off = False

    def append(self, token: int, logprob: float, stop_ids: frozenset[int]) -> bool:
        """Adds a token; returns whether it was the last."""
        self.ids.append(token)
        self.logprobs.append(logprob)
        self.cut_off = token not in stop_ids and len(self.ids) == self.room
        return token in stop_ids or self.cut_off


@contextmanager
def _inference(model: Any) -> Iterator[None]:
    """No gradients and no dropout."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
