"""The two parts of a causal language model: a decoder, which makes hidden states, and a head, which makes logits.

Shapes: B rows, L their length, D hidden size, V vocabulary, M tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPast

from hero.errors import ConfigError
from hero.models.sharded import SHARDED_DECODER, is_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def decoder_of(model: PreTrainedModel) -> nn.Module:
    """Returns the decoder of a model.

    Raises:
        ConfigError: the model is not a decoder with a head.
    """
    decoder: nn.Module | None = model.get_decoder()  # type: ignore[no-untyped-call]
    if decoder is None or decoder is model or model.get_output_embeddings() is None:  # type: ignore[no-untyped-call]
        raise ConfigError(f"{type(model).__name__} is not a decoder with a head; give a causal language model")
    return decoder


def decode(model: PreTrainedModel, **inputs: Any) -> Tensor:
    """Returns the final hidden states [B, L, D] of sequences.

    Args:
        inputs: arguments of the decoder's `forward`.

    Raises:
        ConfigError: the model is not a decoder with a head.
    """
    decoder = getattr(model, SHARDED_DECODER) if is_sharded(model) else decoder_of(model)
    hidden_BLD: Tensor = decoder(**inputs).last_hidden_state
    return hidden_BLD


def head_logits(model: PreTrainedModel, states_MD: Tensor) -> Tensor:
    """Returns the logits [M, V] that a model computes from final hidden states, with any scaling or soft capping.

    A model has no method for this: scaling and capping are part of its `forward`. So `forward` runs with
    a decoder that returns the given states. This relies on `forward` calling the decoder once, as a module, and
    computing logits from its last hidden states alone.

    Raises:
        ConfigError: the model is not a decoder with a head, or computes its logits from more than the states.
    """
    with _returning(decoder_of(model), _DecoderOutput(last_hidden_state=states_MD[None])):
        # Not the model itself, which calls hooks: those of a sharded one are for whole forward passes.
        logits_1MV: Tensor = model.forward(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=model.device)).logits
    if logits_1MV.shape[:2] != (1, len(states_MD)):
        raise ConfigError(
            f"{type(model).__name__} computes its logits from more than hidden states, so its actions cannot be "
            "scored; take another kind of model"
        )
    return logits_1MV[0]


class _DecoderOutput(BaseModelOutputWithPast):
    """The output of a decoder; None for whatever else some kinds of decoders return."""

    def __getattr__(self, name: str) -> None:
        return None


@contextmanager
def _returning(module: nn.Module, output: _DecoderOutput) -> Iterator[None]:
    """Makes a module return the given output while the block runs."""
    own = module.__dict__.get("forward")  # set by a wrapper, such as accelerate's
    module.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del module.forward
        if own:
            module.forward = own
