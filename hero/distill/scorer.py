"""Logits for the tokens of given actions, and for no other positions.

They are computed in two steps, since logits are large: first the final hidden states of all action tokens, then the
logits of as many of these at a time as memory allows (`hero.models.head`).

Shapes: B rows, L their padded length, D the hidden size, V vocabulary, N the action tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from hero.distill.pack import (
    Row,
    Span,
    collate,
    columns,
    micro_batches,
    padded_tokens,
    share_beginnings,
    share_prefixes,
)
from hero.errors import PolicyError
from hero.models.architecture import context_length
from hero.models.head import decode, head_logits
from hero.models.prefix_cache import WORTHWHILE, PrefixCache, can_share_prefix
from hero.models.sharded import is_sharded
from hero.processes import ALONE, Processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK_LOGITS: Final = 2**24
"""Maximum number of a model's logits at a time (but those of one token at least): bounds the memory for losses."""

ATTENDED_ON_GPU: Final = 8
"""Tokens of a shared prefix that count as one on a GPU: a pass over few rows takes as long there as one over many, and
without a gradient there are keys and values of one layer at a time. A processor is quicker with few rows."""


def action_logits(model: PreTrainedModel, rows: Sequence[Row], prefixes: PrefixCache | None = None) -> Tensor:
    """Returns the logits of all action tokens [N, V], each from the position before its token.

    It is `hidden_states` and `head_logits` in one, with their arguments, order and exceptions.
    """
    return head_logits(model, hidden_states(model, rows, prefixes))


def hidden_states(model: PreTrainedModel, rows: Sequence[Row], prefixes: PrefixCache | None = None) -> Tensor:
    """Returns the final hidden states (inputs of the head) of all action tokens [N, D], in one forward pass.

    They are in order of rows, within a row of spans, within a span of tokens.

    Args:
        model: any causal language model of transformers.
        rows: at least one, with at least one span each.
        prefixes: shared prefixes that the model has read; what the rows share with them is not read again. None to read
            whole rows, with the same result.

    Raises:
        PolicyError: a row is longer than the model's context.
        ConfigError: the model is not a decoder with a head.
    """
    _require_context(model, rows)
    if prefixes is None or not any(row.shared for row in rows):
        prefixes, rows = None, [replace(row, shared=0) for row in rows]
    ids_BL, predictors_N = (tensor.to(model.device) for tensor in collate(rows))
    starts = [(row.prefix, row.shared) for row in rows]
    past = prefixes.continuation(starts, ids_BL.shape[1]) if prefixes else {"use_cache": False}
    return decode(model, input_ids=ids_BL, **past).flatten(0, 1).index_select(0, predictors_N)


def _require_context(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    longest, limit = max(len(row.ids) for row in rows), context_length(model)
    if longest > limit:
        raise PolicyError(
            f"an action and its prompt have {longest} tokens, but the model reads {limit}; give rollouts a lower token "
            "limit"
        )


def student_hidden_states(model: PreTrainedModel, rows: Sequence[Row]) -> Tensor:
    """Returns the `hidden_states` of whole rows; what they begin alike with is read once, where that saves enough.

    A gradient flows through that, too, if one is taken. The arguments, the order and the exceptions are those of
    `hidden_states`.
    """
    _require_context(model, rows)
    if can_share_prefix(model) and not is_sharded(model):  # of a sharded one all processes make equally many passes
        sharing, prefixes = share_beginnings(rows)
        saves = padded_tokens(sharing, prefixes) <= (1 - WORTHWHILE) * padded_tokens(rows)
        if saves and columns(sharing) <= columns(rows):  # attention takes memory for what it does not read, too
            return hidden_states(model, sharing, PrefixCache(model, prefixes))
    return hidden_states(model, rows)


def by_span(rows: Sequence[Row], values_N: Tensor) -> Iterator[tuple[Row, Span, Tensor]]:
    """Yields each span of the rows with its row and its part of values of all their action tokens."""
    spans = [(row, span) for row in rows for span in row.spans]
    parts = torch.split(values_N, [len(span) for _, span in spans])
    for (row, span), part in zip(spans, parts, strict=True):
        yield row, span, part


def logit_chunks(model: PreTrainedModel, tokens: int) -> Iterator[slice]:
    """Yields the slices of a number of tokens, in order, whose logits may exist at a time."""
    size = max(1, CHUNK_LOGITS // model.config.get_text_config().vocab_size)
    for start in range(0, tokens, size):
        yield slice(start, min(tokens, start + size))


def idle_pass(model: PreTrainedModel) -> Tensor:
    """Makes a forward pass for nothing, while other processes make one; returns 0, with a gradient of 0."""
    return 0 * decode(model, input_ids=torch.zeros(1, 1, dtype=torch.int64, device=model.device), use_cache=False).sum()


@torch.no_grad()
def teacher_hidden_states(
    model: PreTrainedModel,
    rows: Sequence[Row],
    students: Sequence[Row],
    *,
    tokens: int,
    lockstep: Processes = ALONE,
) -> Iterator[tuple[list[Row], Tensor]]:
    """Yields `hidden_states` of any number of rows, without a gradient; a prefix that rows share is read once.

    Args:
        rows: the teacher's rows.
        students: the student's rows of the same examples; the prefixes that are shared with them are read in one
            forward pass.
        tokens: maximum number of tokens of any other forward pass, as for `micro_batches`.
        lockstep: processes that have to make equally many forward passes.

    Yields:
        Some of the rows and their states [N, D], until each row has been yielded once.
    """
    prefixes: list[tuple[int, ...]] = []
    if can_share_prefix(model):
        rows, prefixes = share_prefixes(rows, students)
    cache = None
    for group in lockstep.even([prefixes] if prefixes else []):
        if group:
            cache = PrefixCache(model, group)
        else:
            idle_pass(model)
    attended = ATTENDED_ON_GPU if model.device.type == "cuda" else 1
    for part in lockstep.even([*micro_batches(rows, tokens, attended=attended)]):
        if part:
            yield part, hidden_states(model, part, cache)
        else:
            idle_pass(model)
