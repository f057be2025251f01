"""The trainer on PyTorch takes weighted examples, and makes one AdamW step of them. It knows no algorithm by name."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.batch import UpdateBatch
from hero.distill.follow import TurnGate
from hero.distill.loss import UpdateLoss
from hero.distill.losses import entropy, forward_kl, jensen_shannon, merged, reverse_kl
from hero.distill.options import Range, require, require_declared
from hero.distill.pack import student_rows
from hero.distill.schedule import LinearSchedule
from hero.distill.scorer import action_logits
from hero.distill.state import (
    MODEL,
    STATE,
    TEACHER,
    read_state,
    read_weights,
    unreadable,
    widen,
    write_state,
    write_weights,
)
from hero.distill.teacher_model import TeacherWeights, make_teacher
from hero.distill.token_scores import TokenScore, score_tokens
from hero.errors import ConfigError, RunError
from hero.models.architecture import context_length
from hero.models.attention import repeat_key_heads
from hero.models.recompute import recomputing
from hero.models.sharded import whole
from hero.policy import Policy
from hero.processes import ALONE, Processes
from hero.types import Action, Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from hero.models.sharding import ShardedModels

MAX_WEIGHT: Final = 1e16
"""Bound on the size of a weight: the sum of squares of larger ones, as in a norm, may not be finite in float32."""
Divergence: TypeAlias = Literal["forward_kl", "reverse_kl", "jensen_shannon"]
TopKOf: TypeAlias = Literal["student", "teacher", "union"]


class TrainableModel(Protocol):
    """A model with its chat, shared by the trainer and the policies that sample from it."""

    @property
    def model(self) -> PreTrainedModel: ...
    @property
    def chat(self) -> Chat: ...
    @property
    def name(self) -> str: ...
    def policy(self, *, temperature: float, version: int) -> Policy: ...


class TorchTrainer:
    """Trains a causal language model of transformers, in place; of one with an adapter (`hero.models.lora`) only that.

    A model whose trained weights are in half precision becomes float32, since a step of AdamW is mostly less than such
    a weight can change by. Dropout stays off: it would score actions under another distribution than sampled them.

    Args:
        divergence: the divergence between student and teacher that distillation minimises, over the whole vocabulary.
        beta: weight of the teacher in the Jensen-Shannon divergence.
        top_k: number of likeliest ids over which the divergence is taken, with all others as one; None for every id by
            itself.
        top_k_of: the model whose likeliest ids these are.
        teacher_weights: the weights that read the privileged prompt. `ema`: an exponential moving average of the
            student's; `frozen`: the student's at the start; `live`: the student's own as they are before the step.
            The first two are a copy of all weights, or for a model with an adapter a second adapter, and no adapter.
        turn_gate: the distilled turns that count. `follow`: a turn whose action its finding calls wrong only if the
            teacher, shown the finding, agrees: it finds the advised action likelier than the one that was taken or,
            without advice, the action less likely than the student does. `verdict`: moreover a turn whose action is
            called useful only if the teacher finds it at least as likely as the student does. `none`: all turns.
            Others contribute no loss, but their tokens count in its mean. Turns without a verdict, and those whose
            action holds a thought, always count.
        ema_decay: share of the moving average that a step keeps.
        learning_rate: the rate after the warm-up.
        warmup_steps: number of steps at the start over which the rate rises linearly.
        decay_steps: number of steps by which the rate has fallen linearly, from the end of the warm-up, to 0; None for
            no fall.
        weight_decay: decoupled weight decay of AdamW (1711.05101).
        max_grad_norm: a gradient of a larger norm is scaled down to it.
        micro_batch_tokens: maximum number of tokens that go through the model at once, padding included: for memory and
            speed only.
        gradient_checkpointing: whether layers keep only their inputs for the backward pass and compute again there:
            less memory, more time, the same result.
        processes: those that share the work of an update: each calls `policy` and `update` when the others do, the
            latter with all examples.
        shard: whether each process holds a part of all weights, gradients and optimiser states (FSDP2) instead of all;
            while a policy plays, it holds all weights.

    Raises:
        ConfigError: an argument out of its range, or a model without weights to train.
    """

    def __init__(
        self,
        lm: TrainableModel,
        *,
        divergence: Divergence = "reverse_kl",
        beta: Annotated[float, Range(above=0, below=1)] = 0.5,
        top_k: int | None = None,
        top_k_of: TopKOf = "teacher",
        teacher_weights: TeacherWeights = "ema",
        turn_gate: TurnGate = "follow",
        ema_decay: Annotated[float, Range(above=0, below=1)] = 0.95,
        # The first step of AdamW moves a weight by about the rate.
        learning_rate: Annotated[float, Range(above=0, below=MAX_WEIGHT)] = 2e-4,
        warmup_steps: Annotated[int, Range(least=0)] = 0,
        decay_steps: int | None = None,
        weight_decay: Annotated[float, Range(least=0, below=math.inf)] = 0.0,
        max_grad_norm: Annotated[float, Range(above=0)] = 1.0,
        micro_batch_tokens: Annotated[int, Range(least=1)] = 16_384,
        gradient_checkpointing: bool = False,
        processes: Processes = ALONE,
        shard: bool = False,
    ) -> None:
        require_declared(TorchTrainer.__init__, locals())
        vocabulary = lm.model.config.get_text_config().vocab_size
        require(top_k is None or 1 <= top_k <= vocabulary, "top_k", top_k, f"1 to {vocabulary}, or None")
        self._processes = processes
        self._schedule = LinearSchedule(learning_rate, warmup_steps, decay_steps)
        self.lm = lm
        self.updates = 0
        """Optimiser steps taken so far."""
        self._teacher_weights: TeacherWeights = teacher_weights
        self._ema_decay = ema_decay
        self._max_grad_norm = max_grad_norm
        self._model = lm.model
        self._model.eval()  # type: ignore[no-untyped-call]
        widen(self._model)
        repeat_key_heads(self._model)
        require(
            any(weight.requires_grad for weight in self._model.parameters()),
            "trained weights",
            "none",
            "a model with weights that require a gradient",
        )
        if gradient_checkpointing:
            with recomputing(self._model):
                pass  # refused here rather than at the first update, after an evaluation
        self._teacher = make_teacher(self._model, teacher_weights)
        self._shards: ShardedModels | None = None
        if shard:
            from hero.models.sharding import ShardedModels

            self._shards = ShardedModels([self._model, self._teacher.model], processes)
        self._trained = [weight for weight in self._model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=learning_rate, weight_decay=weight_decay, fused=self._model.device.type == "cuda" or None
        )
        self._loss = UpdateLoss(
            student=self._model,
            teacher=self._teacher.model,
            acting=self._teacher.active,
            divergence=_divergence(divergence, beta, top_k, top_k_of),
            micro_batch_tokens=micro_batch_tokens,
            gradient_checkpointing=gradient_checkpointing,
            turn_gate=turn_gate,
            processes=self._processes,
        )

    def policy(self, *, temperature: float) -> Policy:
        """Returns a policy on the current weights (no copy), its version the number of updates so far."""
        if self._shards and not getattr(self.lm, "is_served", False):
            self._shards.gather(self._model)
        return self.lm.policy(temperature=temperature, version=self.updates)

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """Takes one step down the loss: the sum of its components, each a mean over the action tokens that carry it.

        Returns:
            `tokens_with_loss`: action tokens that contribute to any component; 0 means that no step was taken.
            `turns_distilled`: distilled examples. `turns_too_long`: those that are not, since with their privileged
            text they exceed the model's context. `turns_gated`: distilled examples that `turn_gate` leaves out.
            `turns_faulted`: those whose action is called wrong, as far as they are measured. `turns_contradicted`:
            those of them whose advice is the very action that was taken, which the gate leaves out. `turns_advised`:
            those with other advice. `loss`: the sum of the components `policy_gradient`, `cross_entropy` and
            `distillation`.
            Where a step was taken also: `grad_norm` before clipping; `learning_rate`.
            Where there are examples, gated or not: `action_length`, the mean in tokens; and, from before the step, in
            nats per token, at the temperature of sampling: `entropy` of the student; `mismatch`, the gap between
            sampler and trainer: the mean of |log p sampled - log p recomputed|.
            Where anything was distilled, at temperature 1: `divergence`, unweighted; `teacher_gap`, the mean of
            log p teacher - log p student of the sampled tokens; `teacher_gap_abs`, that of its absolute value;
            `teacher_tokens`, the number of tokens that the teacher read of the actions taken and their prompts, and
            `teacher_tokens_apart`, the number that it would have read without shared prefixes; `advice_tokens`, the
            number that it read besides, of advised actions.
            Where turns are faulted whose advice is not the action that was taken: `repeated`, the share of them in
            which that action is again the teacher's likeliest; and of those with advice `followed`, the share in which
            the advised action is the likeliest, and `lift`, the median of log p teacher - log p student of the whole
            advised action, of at most 16 turns.
            Where there is a policy gradient: `clip_fraction` of its tokens.

        Raises:
            ConfigError: the loss or its gradient is not finite; no step is taken. Or the step made weights that are not
                finite, or too large to compute with: they are not to be saved. Or `decay_steps` are already done.
            PolicyError: a prompt with its action is longer than the model's context.
        """
        batch = self._batch(examples)
        if self._shards:
            self._shards.scatter()
        if not batch.examples:
            return self._loss.measure(batch)
        learning_rate = self._schedule.rate(self.updates)
        self._optimizer.zero_grad(set_to_none=True)
        metrics = self._loss.backward(batch)
        grad_norm = whole(clip_grad_norm_(self._trained, self._max_grad_norm)).item()
        if not (math.isfinite(metrics["loss"]) and math.isfinite(grad_norm)):
            raise ConfigError(
                f"the gradient of update {self.updates + 1} has norm {grad_norm} (loss {metrics['loss']}); "
                f"give a learning_rate below {self._schedule.peak}, or look for logits or log-probabilities that are "
                "not finite"
            )
        if not metrics["tokens_with_loss"]:
            return metrics
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        self._require_usable(batch)
        if self._shards:
            self._shards.scatter()
        self.updates += 1
        if self._teacher_weights == "ema":
            self._teacher.average(self._ema_decay)
        return metrics | {"grad_norm": grad_norm, "learning_rate": learning_rate}

    def score(self, examples: Sequence[Example], *, likeliest: int = 3) -> list[list[TokenScore] | None]:
        """Returns what student and teacher think of each token of the distilled actions; nothing is trained.

        Args:
            likeliest: number of the teacher's likeliest ids to return for each token.

        Returns:
            An entry per example; None where nothing is distilled, or the privileged prompt is too long.

        Raises:
            PolicyError: a prompt with its action is longer than the model's context.
        """
        batch = self._batch(examples)
        scores = score_tokens(
            self._model,
            self._teacher.model,
            batch,
            acting=self._teacher.active(),
            micro_batch_tokens=self._loss.micro_batch_tokens,
            likeliest=likeliest,
        )
        by_position = {batch.positions[index]: each for index, each in scores.items()}
        return [by_position.get(position) for position in range(len(examples))]

    def teacher_acts(self, prompts: Sequence[Sequence[Message]]) -> list[Action]:
        """Returns the teacher's greedy actions after privileged prompts.

        Raises:
            PolicyError: a prompt is too long for the model.
        """
        lm = copy(self.lm)
        lm.model = self._teacher.model  # type: ignore[misc]
        with self._teacher.active():
            return lm.policy(temperature=0.0, version=self.updates).act(prompts, [0] * len(prompts))

    def save(self, path: Path) -> None:
        """Writes the weights, the teacher's unless it is live, the optimiser's state and the counter.

        Of several processes, all of which call it, the first writes.

        Raises:
            OSError: `path` exists, or cannot be written.
        """
        optimizer = self._optimizer.state_dict()
        if self._shards:
            self._shards.gather(self._model, self._teacher.model)
            optimizer["state"] = {
                index: {name: whole(tensor) for name, tensor in state.items()}
                for index, state in optimizer["state"].items()
            }
        if not self._processes.is_first:
            return
        state = {
            "model": self.lm.name,
            "teacher": self._teacher_weights,
            "updates": self.updates,
            "optimizer": optimizer,
        }
        path.mkdir(parents=True)
        write_weights(self._model, path / MODEL)
        self._teacher.save(path / TEACHER)
        write_state(path / STATE, state)

    def load(self, path: Path) -> None:
        """Restores the state that `save` wrote: all later updates equal those of an uninterrupted run, bit for bit.

        Raises:
            RunError: the state cannot be read, or belongs to another model or another kind of teacher.
        """
        state = read_state(path / STATE, self._model.device)
        if self._shards:
            self._shards.scatter()
        try:
            for key, own in (("model", self.lm.name), ("teacher", self._teacher_weights)):
                if state[key] != own:
                    raise RunError(f"{path} was written with {key} = {state[key]!r}; go on with that, not with {own!r}")
            read_weights(self._model, path / MODEL)
            self._teacher.load(path / TEACHER)
            self._optimizer.load_state_dict(state["optimizer"])
            if self._shards:
                self._shards.split_optimizer(self._optimizer)
            self.updates = operator.index(state["updates"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise unreadable(path / STATE, error) from error

    def _batch(self, examples: Sequence[Example]) -> UpdateBatch:
        return UpdateBatch.of(examples, self.lm.chat, context_length(self._model))

    @torch.no_grad()
    def _require_usable(self, batch: UpdateBatch) -> None:
        """Refuses weights that a step has made too large, or with which an action has no log-probabilities."""
        largest = [whole(torch.linalg.vector_norm(weight, math.inf)).item() for weight in self._trained]
        unusable = [size for size in largest if not size < MAX_WEIGHT]  # so written that NaN is among them
        shortest = min(batch.examples, key=lambda example: len(example.tokens.prompt_ids + example.tokens.action_ids))
        if not unusable and entropy(action_logits(self._model, student_rows([shortest]))).isnan().any():
            unusable = [max(largest)]
        if unusable:
            raise ConfigError(
                f"update {self.updates + 1} made weights as large as {unusable[0]:.3g}, with which nothing can be "
                f"computed; give a learning_rate below {self._schedule.peak} or a lower weight_decay"
            )


def _divergence(
    name: Divergence, beta: float, top_k: int | None, top_k_of: TopKOf
) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns the divergence of a name, over the likeliest ids if `top_k` is given."""
    divergences: dict[Divergence, Callable[[Tensor, Tensor], Tensor]] = {
        "forward_kl": forward_kl,
        "reverse_kl": reverse_kl,
        "jensen_shannon": partial(jensen_shannon, beta=beta),
    }
    divergence = divergences[name]
    return divergence if top_k is None else partial(merged, divergence, k=top_k, of=top_k_of)
