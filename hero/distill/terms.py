"""The loss of a whole update and its gradient, micro-batch by micro-batch.

Shapes: V vocabulary, N the action tokens of a micro-batch, M those of its examples that carry one term.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from hero.chat import Chat
from hero.distill.base import Example
from hero.distill.losses import clipped, entropy, masked_mean, policy_gradient, token_logprobs
from hero.distill.pack import Row, micro_batches, student_rows, teacher_rows, tokens_read
from hero.distill.scorer import logits, score, states_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Term: TypeAlias = Literal["policy_gradient", "cross_entropy", "distillation"]
TERMS: Final[tuple[Term, ...]] = get_args(Term)
Sums: TypeAlias = defaultdict[str, float]


def carrying(examples: Sequence[Example]) -> list[Example]:
    """The examples that change anything: with at least one action token and one term."""
    return [e for e in examples if e.tokens.action_ids and any(getattr(e, term) for term in TERMS)]


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
            What `TorchLearner.update` reports, but for what only the optimiser knows.
        """
        counts = {term: sum(len(e.tokens.action_ids) for e in examples if getattr(e, term)) for term in TERMS}
        contexts = {row.spans[0].examples[0]: row for row in teacher_rows(examples, self.chat)}
        rows = student_rows(examples)
        sums: Sums = defaultdict(float)
        for part in micro_batches(rows, self.micro_batch_tokens):
            scored = _Scored.of(self.student, part, examples)
            scored.observe(sums)
            loss = scored.logprobs_N.new_zeros(())
            if counts["policy_gradient"]:
                loss = loss + self._policy_gradient(scored, counts["policy_gradient"], sums)
            if counts["cross_entropy"]:
                loss = loss + self._cross_entropy(scored, counts["cross_entropy"], sums)
            if counts["distillation"]:
                told = [contexts[i] for i in scored.carriers("distillation")]
                loss = loss + self._distillation(scored, told, part, counts["distillation"], sums)
            torch.autograd.backward(loss)
        lengths = [len(span) for row in rows for span in row.spans]
        return _report(sums, counts, lengths) | {"turns_with_finding": float(len(contexts))}

    def _policy_gradient(self, scored: _Scored, count: int, sums: Sums) -> Tensor:
        carriers = scored.carriers("policy_gradient")
        index_M, advantages_M = scored.spread(carriers, "policy_gradient")
        logprobs_M = scored.logprobs_N.index_select(0, index_M)
        old_M = scored.floats(chain.from_iterable(scored.examples[i].tokens.logprobs for i in carriers))
        loss_M = policy_gradient(logprobs_M, old_M, advantages_M, clip=self.clip)
        loss = masked_mean(loss_M, torch.ones_like(loss_M), count)
        sums["policy_gradient"] += loss.item()
        sums["clipped"] += clipped(logprobs_M.detach(), old_M, advantages_M, clip=self.clip).sum().item()
        return loss

    def _cross_entropy(self, scored: _Scored, count: int, sums: Sums) -> Tensor:
        index_M, weights_M = scored.spread(scored.carriers("cross_entropy"), "cross_entropy")
        loss = masked_mean(-scored.logprobs_N.index_select(0, index_M), weights_M, count)
        sums["cross_entropy"] += loss.item()
        return loss

    def _distillation(
        self, scored: _Scored, rows: Sequence[Row], students: Sequence[Row], count: int, sums: Sums
    ) -> Tensor:
        """Of the teacher's rows, which begin like the student's."""
        taught: list[Row] = []
        loss = scored.logprobs_N.new_zeros(())
        for part, states_MD in states_once(self.teacher, rows, students, tokens=self.micro_batch_tokens):
            with torch.no_grad():
                teacher_logits_MV = logits(self.teacher, states_MD)
            index_M, weights_M = scored.spread([row.spans[0].examples[0] for row in part], "distillation")
            divergence_M = self.divergence(scored.logits_NV.index_select(0, index_M), teacher_logits_MV)
            loss = loss + masked_mean(divergence_M, weights_M, count)
            teacher_M = token_logprobs(teacher_logits_MV, scored.ids_N.index_select(0, index_M))
            gap_M = teacher_M - scored.logprobs_N.detach().index_select(0, index_M)
            sums["divergence"] += divergence_M.detach().sum().item()
            sums["teacher_gap"] += gap_M.sum().item()
            sums["teacher_gap_abs"] += gap_M.abs().sum().item()
            taught += part
        sums["distillation"] += loss.item()
        sums["teacher_tokens"] += tokens_read(taught)
        sums["teacher_tokens_apart"] += sum(len(row.ids) for row in taught)
        return loss


@dataclass(frozen=True, slots=True)
class _Scored:
    """The action tokens of a micro-batch under the student, and where among them those of each example are."""

    examples: Sequence[Example]
    places: Mapping[int, range]
    ids_N: Tensor
    sampled_logprobs_N: Tensor
    logits_NV: Tensor
    logprobs_N: Tensor

    @classmethod
    def of(cls, student: PreTrainedModel, rows: Sequence[Row], examples: Sequence[Example]) -> _Scored:
        places: dict[int, range] = {}
        sampled: list[float] = []
        for span in chain.from_iterable(row.spans for row in rows):
            place = range(len(sampled), len(sampled) + len(span))
            places |= dict.fromkeys(span.examples, place)
            sampled += examples[span.examples[0]].tokens.logprobs
        logits_NV = score(student, rows)
        ids = list(chain.from_iterable(row.action_ids for row in rows))
        ids_N = torch.tensor(ids, device=logits_NV.device)
        logprobs_N = token_logprobs(logits_NV, ids_N)
        return cls(examples, places, ids_N, logprobs_N.new_tensor(sampled), logits_NV, logprobs_N)

    def carriers(self, term: Term) -> list[int]:
        """The examples of this micro-batch that carry a term."""
        return [index for index in self.places if getattr(self.examples[index], term)]

    def spread(self, carriers: Sequence[int], term: Term) -> tuple[Tensor, Tensor]:
        """Where the action tokens of examples are [M], and the weight of their term at each [M]."""
        index = list(chain.from_iterable(self.places[i] for i in carriers))
        weights = (repeat(getattr(self.examples[i], term), len(self.places[i])) for i in carriers)
        index_M = torch.tensor(index, dtype=torch.int64, device=self.ids_N.device)
        return index_M, self.floats(chain.from_iterable(weights))

    def floats(self, values: Iterable[float]) -> Tensor:
        return self.logprobs_N.new_tensor(list(values))

    def observe(self, sums: Sums) -> None:
        """Adds up what is reported of all scored tokens."""
        sums["mismatch"] += (self.sampled_logprobs_N - self.logprobs_N.detach()).abs().sum().item()
        sums["entropy"] += entropy(self.logits_NV.detach()).sum().item()


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
