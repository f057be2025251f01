"""What a model thinks of given actions: the logits that predict their tokens, and of no others.

Shapes: B rows, L their padded length, D the hidden size, V vocabulary, N the action tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hero.distill.pack import Row, branches, collate, micro_batches
from hero.distill.trunks import Trunks, can_branch
from hero.errors import ConfigError, PolicyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.no_grad()
def score_all(
    model: PreTrainedModel, rows: Sequence[Row], students: Sequence[Row], *, tokens: int
) -> Iterator[tuple[list[Row], Tensor]]:
    """`score` of any number of rows, without a gradient; what they begin with in common is read once.

    Args:
        rows: the teacher's, of the same examples as the `students`' rows.
        tokens: of a forward pass, padding included; a longer row goes alone. The students' rows go together.

    Yields:
        Rows and their logits [N, V], until all rows had their turn.
    """
    trunks: list[tuple[int, ...]] = []
    if can_branch(model):
        rows, trunks = branches(rows, students)
    past = Trunks(model, trunks) if trunks else None
    for part in micro_batches(rows, tokens):
        yield part, score(model, part, past)


def score(model: PreTrainedModel, rows: Sequence[Row], trunks: Trunks | None = None) -> Tensor:
    """The logits of all action tokens [N, V], by row, by span, by token, each from the position before its token.

    One forward pass. Only the N hidden states that predict an action token reach the head: with a large vocabulary the
    logits of the prompts would be most of the cost. They are picked at the door of the head, so that whatever the model
    does to its logits afterwards (scaling, soft capping) is done to these as well.

    Args:
        model: any causal language model of transformers.
        rows: at least one, with at least one span each.
        trunks: what the rows share with them is not read again; None to read it, with the same result.

    Raises:
        PolicyError: a row is longer than the model's context.
        ConfigError: the model does not make its logits by calling its output embeddings.
    """
    longest = max(len(row.ids) for row in rows)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is not None and longest > context:
        raise PolicyError(f"{longest} ids to score, but the model reads {context}; give rollouts a lower token limit")
    head: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None:
        raise ConfigError(f"{type(model).__name__} has no output embeddings; give a causal language model")
    if trunks is None or not any(row.shared for row in rows):
        trunks, rows = None, [replace(row, shared=0) for row in rows]
    ids_BL, predictors_N = (tensor.to(model.device) for tensor in collate(rows))
    past = trunks.continued(rows, ids_BL.shape[1]) if trunks else {"use_cache": False}

    def keep_predictors(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (hidden_BLD,) = inputs
        return (hidden_BLD.flatten(0, 1).index_select(0, predictors_N),)

    hook = head.register_forward_pre_hook(keep_predictors)
    try:
        logits_NV: Tensor = model(input_ids=ids_BL, **past).logits
    finally:
        hook.remove()
    if logits_NV.shape[:-1] != predictors_N.shape:
        raise ConfigError(f"{type(model).__name__} goes around its output embeddings; its actions cannot be scored")
    return logits_NV
