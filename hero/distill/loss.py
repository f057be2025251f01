"""The loss of a whole update and its gradient, micro-batch by micro-batch.

Shapes: V vocabulary, N the action tokens of a micro-batch, M those of its examples that carry one term.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final, TypeAlias

import torch
from torch import Tensor

from hero.chat.base import Chat
from hero.distill.base import Example
from hero.distill.losses import clipped, entropy, masked_mean, policy_gradient, token_logprobs
from hero.distill.pack import (
    TERMS,
    Row,
    Term,
    carrying,
    fitting,
    micro_batches,
    student_rows,
    teacher_rows,
    tokens_read,
)
from hero.distill.scorer import hidden_states, teacher_hidden_states
from hero.models.architecture import context_length
from hero.models.head import head_logits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Sums: TypeAlias = defaultdict[str, float]
CHUNK_LOGITS: Final = 2**24
"""Logits of the student that exist at a time, at most (but always those of one token): bounds the memory for losses."""


NOTHING: Final[Mapping[str, float]] = {"tokens_with_loss": 0.0, "loss": 0.0}
"""What is reported of an update without a token to learn from."""


@dataclass(frozen=True, kw_only=True)
class UpdateLoss:
    """The sum of the terms, each a mean over the action tokens that carry it in the whole update.

    Attributes:
        student: its gradient is taken.
        teacher: reads the privileged prompts, without a gradient; may be the student.
        divergence: of (student logits [M, V], teacher logits [M, V]), per token [M].
        clip: of the policy gradient's ratio.
        micro_batch_tokens: that many tokens go through a model at once, padding included. Changes no result, up to
            rounding.
    """

    student: PreTrainedModel
    teacher: PreTrainedModel
    chat: Chat
    divergence: Callable[[Tensor, Tensor], Tensor]
    clip: float
    micro_batch_tokens: int

    def backward(self, examples: Sequence[Example]) -> dict[str, float]:
        """Adds the gradient of the loss to `.grad` of the student's weights.

        Args:
            examples: at least one, all `carrying` something.

        Returns:
            What `TorchTrainer.update` reports, but for what only the optimiser knows.
        """
        teachers = teacher_rows(examples, self.chat)
        fit = carrying(fitting(examples, teachers, context_length(self.teacher)))
        too_long = sum(e.teacher is not None for e in examples) - sum(e.teacher is not None for e in fit)
        if too_long:
            examples, teachers = fit, teacher_rows(fit, self.chat)
        counts = {term: sum(len(e.tokens.action_ids) for e in examples if getattr(e, term)) for term in TERMS}
        told = {row.spans[0].examples[0]: row for row in teachers}
        rows = student_rows(examples)
        sums: Sums = defaultdict(float)
        for part in micro_batches(rows, self.micro_batch_tokens):
            actions = _Actions.of(part, examples, self.student)
            # The teacher first: the student's graph takes most of the memory.
            carriers = self._carriers(actions, [told[i] for i in actions.places if i in told], part, sums)
            states_ND = hidden_states(self.student, part)
            leaf_ND = states_ND.detach().requires_grad_()
            chunk = max(1, CHUNK_LOGITS // self.student.config.get_text_config().vocab_size)
            for low in range(0, len(leaf_ND), chunk):
                places = range(low, min(low + chunk, len(leaf_ND)))
                loss = self._loss(leaf_ND, actions, carriers, places, counts, sums)
                torch.autograd.backward(loss)
            if states_ND.requires_grad:
                torch.autograd.backward(states_ND, leaf_ND.grad)
        lengths = [len(span) for row in rows for span in row.spans]
        found = {"turns_with_finding": float(len(told)), "turns_too_long": float(too_long)}
        return {**(_report(sums, counts, lengths) if rows else NOTHING), **found}

    def _carriers(
        self, actions: _Actions, told: Sequence[Row], students: Sequence[Row], sums: Sums
    ) -> dict[Term, _Carriers]:
        """What is known of each term before the student's logits: of distillation, the teacher's states."""
        found: dict[Term, _Carriers] = {}
        for term in ("policy_gradient", "cross_entropy"):
            indices = actions.carriers(term)
            old = chain.from_iterable(actions.examples[i].tokens.logprobs for i in indices)
            found[term] = actions.spread(indices, term, actions.sampled_N.new_tensor(list(old)))
        read: list[Row] = []
        parts: list[Tensor] = []
        for part, states_MD in teacher_hidden_states(self.teacher, told, students, tokens=self.micro_batch_tokens):
            read += part
            parts.append(states_MD)
        if parts:
            indices = [row.spans[0].examples[0] for row in read]
            found["distillation"] = actions.spread(indices, "distillation", torch.cat(parts))
        sums["teacher_tokens"] += tokens_read(read)
        sums["teacher_tokens_apart"] += sum(len(row.ids) for row in read)
        return found

    def _loss(
        self,
        states_ND: Tensor,
        actions: _Actions,
        carriers: Mapping[Term, _Carriers],
        places: range,
        counts: Mapping[Term, int],
        sums: Sums,
    ) -> Tensor:
        """The part of the loss that lies in some action tokens."""
        within = slice(places.start, places.stop)
        logits_NV = head_logits(self.student, states_ND[within])
        logprobs_N = token_logprobs(logits_NV, actions.ids_N[within])
        tempered_NV = logits_NV / actions.temperature_N1[within]
        tempered_N = token_logprobs(tempered_NV, actions.ids_N[within])
        sums["mismatch"] += (actions.sampled_N[within] - tempered_N.detach()).abs().sum().item()
        sums["entropy"] += entropy(tempered_NV.detach()).sum().item()
        loss = logprobs_N.new_zeros(())
        for term, all_carriers in carriers.items():
            carrying = all_carriers.within(places)
            if carrying.index:
                weights_M = carrying.weights_M
                index_M = torch.tensor(carrying.index, device=logprobs_N.device) - places.start
                match term:
                    case "policy_gradient":
                        values_M = self._policy_gradient(tempered_N[index_M], carrying.known_M, weights_M, sums)
                        weights_M = torch.ones_like(weights_M)
                    case "cross_entropy":
                        values_M = -logprobs_N[index_M]
                    case "distillation":
                        ids_M = actions.ids_N[within][index_M]
                        values_M = self._divergence(
                            logits_NV[index_M], carrying.known_M, ids_M, logprobs_N[index_M], sums
                        )
                mean = masked_mean(values_M, weights_M, counts[term])
                sums[term] += mean.item()
                loss = loss + mean
        return loss

    def _policy_gradient(self, logprobs_M: Tensor, old_M: Tensor, advantages_M: Tensor, sums: Sums) -> Tensor:
        sums["clipped"] += clipped(logprobs_M.detach(), old_M, advantages_M, clip=self.clip).sum().item()
        return policy_gradient(logprobs_M, old_M, advantages_M, clip=self.clip)

    def _divergence(
        self, logits_MV: Tensor, teacher_states_MD: Tensor, ids_M: Tensor, logprobs_M: Tensor, sums: Sums
    ) -> Tensor:
        with torch.no_grad():
            teacher_logits_MV = head_logits(self.teacher, teacher_states_MD)
            gap_M = token_logprobs(teacher_logits_MV, ids_M) - logprobs_M
        divergence_M = self.divergence(logits_MV, teacher_logits_MV)
        sums["divergence"] += divergence_M.detach().sum().item()
        sums["teacher_gap"] += gap_M.sum().item()
        sums["teacher_gap_abs"] += gap_M.abs().sum().item()
        return divergence_M


@dataclass(frozen=True, slots=True)
class _Carriers:
    """Action tokens that carry a term, in order; a token may carry it twice.

    Attributes:
        index: their places among the action tokens of the micro-batch.
        weights_M: of the term.
        known_M: what else is known of each: log-probabilities [M], or the teacher's states [M, D].
    """

    index: list[int]
    weights_M: Tensor
    known_M: Tensor

    def within(self, places: range) -> _Carriers:
        """Those at the given places."""
        part = slice(bisect_left(self.index, places.start), bisect_left(self.index, places.stop))
        return _Carriers(self.index[part], self.weights_M[part], self.known_M[part])


@dataclass(frozen=True, slots=True)
class _Actions:
    """The action tokens of a micro-batch, and where among them those of each example are.

    Attributes:
        sampled_N: log-probabilities as they were sampled, each at its `temperature_N1`.
    """

    examples: Sequence[Example]
    places: Mapping[int, range]
    ids_N: Tensor
    sampled_N: Tensor
    temperature_N1: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], examples: Sequence[Example], student: PreTrainedModel) -> _Actions:
        places: dict[int, range] = {}
        sampled: list[float] = []
        temperatures: list[float] = []
        for span in chain.from_iterable(row.spans for row in rows):
            place = range(len(sampled), len(sampled) + len(span))
            places |= dict.fromkeys(span.examples, place)
            tokens = examples[span.examples[0]].tokens
            sampled += tokens.logprobs
            temperatures += repeat(tokens.temperature, len(span))
        ids = list(chain.from_iterable(row.action_ids for row in rows))
        precise = torch.promote_types(student.dtype, torch.float32)
        sampled_N, temperature_N = torch.tensor([sampled, temperatures], dtype=precise, device=student.device)
        return cls(examples, places, torch.tensor(ids, device=student.device), sampled_N, temperature_N[:, None])

    def carriers(self, term: Term) -> list[int]:
        """The examples of this micro-batch that carry a term."""
        return [index for index in self.places if getattr(self.examples[index], term)]

    def spread(self, indices: Sequence[int], term: Term, known_M: Tensor) -> _Carriers:
        """The action tokens of examples; `known_M` has a row for each, by example, by token."""
        index = list(chain.from_iterable(self.places[i] for i in indices))
        each = (repeat(getattr(self.examples[i], term), len(self.places[i])) for i in indices)
        weights = list(chain.from_iterable(each))
        order = sorted(range(len(index)), key=index.__getitem__)
        order_M = torch.tensor(order, dtype=torch.int64, device=known_M.device)
        weights_M = self.sampled_N.new_tensor(weights)
        return _Carriers([index[i] for i in order], weights_M[order_M], known_M[order_M])


def _report(sums: Mapping[str, float], counts: Mapping[Term, int], lengths: Sequence[int]) -> dict[str, float]:
    """Sums to means, each over the tokens that it is about; absent where there are none."""
    tokens = sum(lengths)
    report: dict[str, float] = {term: sums.get(term, 0.0) for term in TERMS}
    report |= {"loss": sum(report.values()), "tokens_with_loss": float(tokens), "action_length": tokens / len(lengths)}
    report |= {name: sums[name] / tokens for name in ("mismatch", "entropy")}
    if distilled := counts["distillation"]:
        report |= {name: sums[name] / distilled for name in ("divergence", "teacher_gap", "teacher_gap_abs")}
        report |= {name: sums[name] for name in ("teacher_tokens", "teacher_tokens_apart")}
    if reinforced := counts["policy_gradient"]:
        report |= {"clip_fraction": sums["clipped"] / reinforced}
    return report
