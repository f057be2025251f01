"""What a model thinks of given actions: the logits that predict their tokens, and of no others.

In two steps, since logits are large: first the states that the head is shown, then the logits of as many of them at a
time as memory allows.

Shapes: B rows, L their padded length, D the hidden size, V vocabulary, N the action tokens of all rows, M some of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from hero.distill.pack import Row, collate, micro_batches, share_prefixes
from hero.errors import ConfigError, PolicyError
from hero.models.architecture import context_length
from hero.models.prefix_cache import PrefixCache, can_share_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def action_logits(model: PreTrainedModel, rows: Sequence[Row], prefixes: PrefixCache | None = None) -> Tensor:
    """The logits of all action tokens [N, V], by row, by span, by token, each from the position before its token.

    `hidden_states` and `head_logits` in one, with their arguments and exceptions.
    """
    return head_logits(model, hidden_states(model, rows, prefixes))


def hidden_states(model: PreTrainedModel, rows: Sequence[Row], prefixes: PrefixCache | None = None) -> Tensor:
    """What the head is shown of all action tokens [N, D], by row, by span, by token, in one forward pass.

    Args:
        model: any causal language model of transformers.
        rows: at least one, with at least one span each.
        prefixes: what the rows share with them is not read again; None to read it, with the same result.

    Raises:
        PolicyError: a row is longer than the model's context.
        ConfigError: the model is not a decoder with a head.
    """
    longest, context = max(len(row.ids) for row in rows), context_length(model)
    if longest > context:
        raise PolicyError(
            f"{longest} ids to action_logits, but the model reads {context}; give rollouts a lower token limit"
        )
    if prefixes is None or not any(row.shared for row in rows):
        prefixes, rows = None, [replace(row, shared=0) for row in rows]
    ids_BL, predictors_N = (tensor.to(model.device) for tensor in collate(rows))
    past = prefixes.continued(rows, ids_BL.shape[1]) if prefixes else {"use_cache": False}
    hidden_BLD: Tensor = _decoder(model)(input_ids=ids_BL, **past).last_hidden_state
    return hidden_BLD.flatten(0, 1).index_select(0, predictors_N)


@torch.no_grad()
def teacher_hidden_states(
    model: PreTrainedModel, rows: Sequence[Row], students: Sequence[Row], *, tokens: int
) -> Iterator[tuple[list[Row], Tensor]]:
    """`hidden_states` of any number of rows, without a gradient; what they begin with in common is read once.

    Args:
        rows: the teacher's, of the same examples as the `students`' rows.
        tokens: of a forward pass, padding included; a longer row goes alone. The students' rows go together.

    Yields:
        Rows and their states [N, D], until all rows had their turn.
    """
    prefixes: list[tuple[int, ...]] = []
    if can_share_prefix(model):
        rows, prefixes = share_prefixes(rows, students)
    past = PrefixCache(model, prefixes) if prefixes else None
    for part in micro_batches(rows, tokens):
        yield part, hidden_states(model, part, past)


def head_logits(model: PreTrainedModel, states_MD: Tensor) -> Tensor:
    """The logits [M, V] that a model makes of `hidden_states`, with whatever it does to them (scaling, soft capping).

    The model makes them itself, of states that are put in the place of what its decoder would answer.
    """
    answer = _Answer(last_hidden_state=states_MD[None])
    with _answering(_decoder(model), answer):
        logits_1MV: Tensor = model(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=model.device)).logits
    if logits_1MV.shape[:2] != (1, len(states_MD)):
        raise ConfigError(f"{type(model).__name__} makes its logits of more than states; its actions cannot be scored")
    return logits_1MV[0]


class _Answer(BaseModelOutputWithPast):
    """What a decoder answers, None for whatever else some kinds of decoders do."""

    def __getattr__(self, name: str) -> None:
        return None


@contextmanager
def _answering(module: nn.Module, answer: _Answer) -> Iterator[None]:
    """Within the block the module gives the answer instead of its own."""
    own = module.__dict__.get("forward")  # of a wrapper, such as accelerate's
    module.forward = lambda *args, **kwargs: answer
    try:
        yield
    finally:
        del module.forward
        if own:
            module.forward = own


def _decoder(model: PreTrainedModel) -> nn.Module:
    """The part of a model that its head stands on."""
    decoder: nn.Module | None = model.get_decoder()  # type: ignore[no-untyped-call]
    if decoder is None or decoder is model or model.get_output_embeddings() is None:  # type: ignore[no-untyped-call]
        raise ConfigError(f"{type(model).__name__} is no decoder with a head; give a causal language model")
    return decoder
