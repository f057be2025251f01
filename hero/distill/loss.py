"""The loss of a whole update and its gradient, micro-batch by micro-batch.

The loss is the sum of three components. Each is a mean over the action tokens t of the whole update that carry it, the
sum of share * value divided by the sum of the shares, with the values

    policy_gradient   -min(r A, clamp(r, 1 - low, 1 + high) A)  with r = p(t) / p(t) when it was sampled
    cross_entropy     -w log p(t)
    distillation      w g D(student after the prompt, teacher after the privileged prompt), over the whole vocabulary

where p is the student's probability, for the policy gradient at the temperature of sampling. The shares, the advantage
A, the weights w and the clip (low, high) are those of an example. The constant g is 1, or for an example with a gate of
steepness s sigmoid(s (log q(t) - log p(t))) with the teacher's probability q; it is 0 for a turn that is gated out.

Shapes: V vocabulary, D hidden size, N action tokens of a micro-batch or of a part of it, M those of them that carry one
component.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hero.distill.batch import COMPONENTS, ActionTokens, Component, ComponentTokens, UpdateBatch
from hero.distill.follow import Following, TurnGate
from hero.distill.losses import clipped, entropy, masked_mean, policy_gradient, sigmoid_gate, token_logprobs
from hero.distill.pack import Row, micro_batches, shares, tokens_read
from hero.distill.scorer import by_span, idle_pass, logit_chunks, student_hidden_states, teacher_hidden_states
from hero.models.head import head_logits
from hero.models.recompute import recomputing
from hero.models.sharded import is_sharded
from hero.processes import ALONE, Processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Sums(defaultdict[str, float]):
    """Sums over the tokens of an update, by name; 0 at first."""

    def __init__(self) -> None:
        super().__init__(float)

    @classmethod
    def of(cls, parts: Iterable[Mapping[str, float]]) -> Sums:
        """Adds up the sums over parts of an update."""
        sums = cls()
        for part in parts:
            for name, value in part.items():
                sums[name] += value
        return sums

    def add(self, **values: Tensor) -> None:
        """Adds all values of each tensor."""
        for name, tensor in values.items():
            self[name] += tensor.sum().item()


@dataclass(frozen=True, kw_only=True)
class UpdateLoss:
    """The loss of an update, whose gradient is taken for the student's weights.

    Attributes:
        teacher: reads the privileged prompts, without a gradient; may be the student.
        divergence: takes logits of student and teacher [M, V]; returns a value per token [M].
        turn_gate: the turns whose distillation counts, as `Following` describes. Others contribute no loss, but their
            tokens are among those that the mean is taken over.
        acting: makes the block in which the teacher's forward passes are its own, where it shares weights with the
            student (`hero.distill.teacher_model`).
        gradient_checkpointing: whether the student recomputes its layers in the backward pass, which takes less memory
            and more time. Changes no result.
        micro_batch_tokens: maximum number of tokens that go through a model at once, padding included, where what the
            teacher only attends to counts as in `micro_batches`. Changes no result, up to rounding.
        processes: those that share the work: each takes its part of the rows, and the gradient is that of all.
    """

    student: PreTrainedModel
    teacher: PreTrainedModel
    divergence: Callable[[Tensor, Tensor], Tensor]
    micro_batch_tokens: int
    turn_gate: TurnGate = "follow"
    acting: Callable[[], AbstractContextManager[None]] = nullcontext
    processes: Processes = ALONE
    gradient_checkpointing: bool = False

    def backward(self, batch: UpdateBatch) -> dict[str, float]:
        """Adds the gradient of the loss to `.grad` of the student's weights.

        Returns:
            The metrics that `TorchTrainer.update` returns, except for those that only the optimiser knows.
        """
        sums = Sums()
        processes, limit = self.processes, self.micro_batch_tokens
        following = Following(self.student, self.teacher, batch, self.turn_gate, limit, self._lockstep)
        own_rows = shares(batch.student_rows, processes.size)[processes.rank]
        for rows in self._lockstep.even([*micro_batches(own_rows, limit)]):
            # The teacher first: the student's graph takes most of the memory.
            teacher_states, advice_states = self._teacher_states(batch, rows or [], sums)
            following.add_teacher(rows or [], teacher_states, advice_states)
            with recomputing(self.student) if self.gradient_checkpointing else nullcontext():
                states_ND = student_hidden_states(self.student, rows) if rows else idle_pass(self.student)
            if rows:
                following.add_student(rows, states_ND)
                tokens = ActionTokens.of(batch, rows, teacher_states, states_ND, following.gated)
                self._backward(states_ND, tokens, batch.shares, sums)
            elif torch.is_grad_enabled():
                torch.autograd.backward(states_ND)
        if torch.is_grad_enabled() and not is_sharded(self.student):
            processes.sum(_gradients(self.student))
        following.gather(processes)
        return report(batch, Sums.of(processes.gather([dict(sums)])), following)

    @property
    def _lockstep(self) -> Processes:
        """The processes that have to make equally many forward passes."""
        return self.processes if is_sharded(self.student) else ALONE

    @torch.no_grad()
    def measure(self, batch: UpdateBatch) -> dict[str, float]:
        """Returns the metrics of `backward`, without a gradient."""
        return self.backward(batch)

    def _teacher_states(
        self, batch: UpdateBatch, rows: Sequence[Row], sums: Sums
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Returns the teacher's hidden states of the distilled actions in the student's rows, and those of the advised.

        Both are by index of the example.
        """
        examples = [index for row in rows for span in row.spans for index in span.examples]
        teacher_rows = [
            by_example[index]
            for by_example in (batch.teacher_rows, batch.judged.advice_rows)
            for index in examples
            if index in by_example
        ]
        read: list[Row] = []
        taken_states: dict[int, Tensor] = {}
        advice_states: dict[int, Tensor] = {}
        with self.acting():
            for part, states_MD in teacher_hidden_states(
                self.teacher, teacher_rows, rows, tokens=self.micro_batch_tokens, lockstep=self._lockstep
            ):
                read += part
                for row, _, states in by_span(part, states_MD):
                    (advice_states if row.advised else taken_states)[row.example] = states
        taken = [row for row in read if not row.advised]
        sums["teacher_tokens"] += tokens_read(taken)
        sums["advice_tokens"] += tokens_read(read) - tokens_read(taken)
        sums["teacher_tokens_apart"] += sum(len(row.ids) for row in taken)
        return taken_states, advice_states

    def _backward(self, states_ND: Tensor, tokens: ActionTokens, shares: Mapping[Component, float], sums: Sums) -> None:
        """Backpropagates the loss of a micro-batch, with the logits of a few tokens at a time."""
        leaf_ND = states_ND.detach().requires_grad_()
        for part in logit_chunks(self.student, len(leaf_ND)):
            logits_NV = head_logits(self.student, leaf_ND[part])
            loss = self._loss(logits_NV, tokens.part(part), shares, sums)
            if torch.is_grad_enabled():
                torch.autograd.backward(loss)
        if states_ND.requires_grad:
            torch.autograd.backward(states_ND, leaf_ND.grad)

    def _loss(self, logits_NV: Tensor, tokens: ActionTokens, shares: Mapping[Component, float], sums: Sums) -> Tensor:
        """Returns the part of the loss that some action tokens contribute."""
        logprobs_N = token_logprobs(logits_NV, tokens.ids_N)
        tempered_NV = logits_NV / tokens.temperature_N1
        tempered_N = token_logprobs(tempered_NV, tokens.ids_N)
        with torch.no_grad():
            sums.add(mismatch=(tokens.logprobs_N - tempered_N).abs(), entropy=entropy(tempered_NV))
        loss = logprobs_N.new_zeros(())
        for component, its_tokens in tokens.components.items():
            index_M = torch.tensor(its_tokens.index, device=logits_NV.device)
            weights_M = its_tokens.weights_M
            match component:
                case "policy_gradient":
                    values_M = _surrogate(tempered_N[index_M], tokens.logprobs_N[index_M], its_tokens, sums)
                    weights_M = torch.ones_like(weights_M)  # the advantage is within
                case "cross_entropy":
                    values_M = -logprobs_N[index_M]
                case "distillation":
                    ids_M, logprobs_M = tokens.ids_N[index_M], logprobs_N[index_M]
                    teacher_MD = its_tokens.teacher_states_MD
                    values_M, gap_M = self._divergence(logits_NV[index_M], teacher_MD, ids_M, logprobs_M, sums)
                    weights_M = weights_M * sigmoid_gate(gap_M, its_tokens.gates_M)
            mean = masked_mean(values_M, its_tokens.shares_M * weights_M, shares[component])
            sums[component] += mean.item()
            loss = loss + mean
        return loss

    def _divergence(
        self, logits_MV: Tensor, teacher_states_MD: Tensor, ids_M: Tensor, logprobs_M: Tensor, sums: Sums
    ) -> tuple[Tensor, Tensor]:
        """Returns the divergence between student and teacher and log p teacher - log p student, per token [M]."""
        with torch.no_grad():
            teacher_logits_MV = head_logits(self.teacher, teacher_states_MD)
            gap_M = token_logprobs(teacher_logits_MV, ids_M) - logprobs_M
        divergence_M = self.divergence(logits_MV, teacher_logits_MV)
        sums.add(divergence=divergence_M.detach(), teacher_gap=gap_M, teacher_gap_abs=gap_M.abs())
        return divergence_M, gap_M


def _surrogate(logprobs_M: Tensor, old_M: Tensor, tokens: ComponentTokens, sums: Sums) -> Tensor:
    """Returns the clipped surrogate of the policy gradient per token [M]."""
    at, clip = (logprobs_M, old_M, tokens.weights_M), {"clip_low": tokens.clip_low_M, "clip_high": tokens.clip_high_M}
    with torch.no_grad():
        sums.add(clipped=clipped(*at, **clip))
    return policy_gradient(*at, **clip)


def _gradients(model: PreTrainedModel) -> Iterator[Tensor]:
    """Yields the gradient of each trained weight, 0 where nothing was backpropagated."""
    for weight in model.parameters():
        if weight.requires_grad:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            yield weight.grad


def report(batch: UpdateBatch, sums: Mapping[str, float], following: Following) -> dict[str, float]:
    """Returns the metrics of an update: means over the tokens that each is about, absent where there are none."""
    spans = [span for row in batch.student_rows for span in row.spans]
    lengths, gated = [len(span) for span in spans], following.gated
    with_loss = [any(batch.carries_loss(index, gated) for index in span.examples) for span in spans]
    metrics: dict[str, float] = {"tokens_with_loss": float(sum(compress(lengths, with_loss))), "loss": 0.0}
    if tokens := sum(lengths):
        metrics |= {component: sums.get(component, 0.0) for component in COMPONENTS}
        metrics["loss"] = sum(metrics[component] for component in COMPONENTS)
        metrics["action_length"] = tokens / len(lengths)
        metrics |= {name: sums[name] / tokens for name in ("mismatch", "entropy")}
    if distilled := batch.tokens["distillation"]:
        metrics |= {name: sums[name] / distilled for name in ("divergence", "teacher_gap", "teacher_gap_abs")}
        metrics |= {name: sums[name] for name in ("teacher_tokens", "teacher_tokens_apart", "advice_tokens")}
    if reinforced := batch.tokens["policy_gradient"]:
        metrics["clip_fraction"] = sums["clipped"] / reinforced
    turns = {"turns_distilled": len(batch.teacher_rows), "turns_too_long": batch.turns_too_long}
    return metrics | {name: float(count) for name, count in turns.items()} | following.metrics()
