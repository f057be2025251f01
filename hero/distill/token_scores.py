"""Score each token of an action by student and teacher, to see where hindsight would have it otherwise.

Shapes: N tokens of one action, D hidden size, V vocabulary, K the teacher's likeliest ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from hero.distill.batch import UpdateBatch
from hero.distill.losses import token_logprobs
from hero.distill.pack import Row, Span, micro_batches
from hero.distill.scorer import hidden_states, logit_chunks, teacher_hidden_states
from hero.models.head import head_logits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from transformers import PreTrainedModel


Distributions: TypeAlias = list[tuple[float, tuple[tuple[int, float], ...]]]
"""Of each token of an action its log-probability, and the likeliest ids with theirs."""


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token of an action, at temperature 1.

    Attributes:
        student: log-probability after the prompt that it was sampled in, in nats.
        teacher: log-probability after the privileged prompt.
        likeliest: the teacher's likeliest ids with their log-probabilities, the likeliest first.
    """

    id: int
    student: float
    teacher: float
    likeliest: tuple[tuple[int, float], ...]


@torch.no_grad()
def score_tokens(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: UpdateBatch,
    *,
    acting: AbstractContextManager[None],
    micro_batch_tokens: int,
    likeliest: int,
) -> dict[int, list[TokenScore]]:
    """Returns the scores of the action of each distilled example, by index into `batch.examples`.

    Args:
        teacher: reads the privileged prompts; may be the student.
        acting: block in which the teacher's forward passes are its own.
        micro_batch_tokens: maximum number of tokens that go through a model at once, padding included.
        likeliest: number of the teacher's likeliest ids to return for each token.
    """
    rows = list(batch.teacher_rows.values())
    of_teacher: dict[int, Distributions] = {}
    with acting:
        for part, states_ND in teacher_hidden_states(teacher, rows, batch.student_rows, tokens=micro_batch_tokens):
            of_teacher |= {row.example: each for row, _, each in _by_span(teacher, part, states_ND, likeliest)}
    scores: dict[int, list[TokenScore]] = {}
    for part in micro_batches(batch.student_rows, micro_batch_tokens):
        for row, span, own in _by_span(student, part, hidden_states(student, part), likeliest=1):
            for index in of_teacher.keys() & set(span.examples):
                scores[index] = [
                    TokenScore(id_, logprob, *theirs)
                    for id_, (logprob, _), theirs in zip(
                        row.ids[span.start : span.stop], own, of_teacher[index], strict=True
                    )
                ]
    return scores


def _by_span(
    model: PreTrainedModel, rows: Sequence[Row], states_ND: Tensor, likeliest: int
) -> Iterator[tuple[Row, Span, Distributions]]:
    """Yields each span of the rows with its row and the distributions of its tokens."""
    ids_N = torch.tensor([id_ for row in rows for id_ in row.action_ids], device=states_ND.device)
    distributions: Distributions = []
    for part in logit_chunks(model, len(ids_N)):
        logits_NV = head_logits(model, states_ND[part])
        top_logits_NK, top_ids_NK = logits_NV.topk(min(likeliest, logits_NV.shape[-1]))
        top_NK = top_logits_NK - logits_NV.logsumexp(-1, keepdim=True)
        tops = [
            tuple(zip(ids, logprobs, strict=True))
            for ids, logprobs in zip(top_ids_NK.tolist(), top_NK.tolist(), strict=True)
        ]
        distributions += zip(token_logprobs(logits_NV, ids_N[part]).tolist(), tops, strict=True)
    start = 0
    for row in rows:
        for span in row.spans:
            yield row, span, distributions[start : start + len(span)]
            start += len(span)
