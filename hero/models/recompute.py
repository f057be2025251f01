"""Gradient checkpointing (1604.06174): layers keep their inputs alone, and compute again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from torch import nn
from torch.utils.checkpoint import checkpoint

from hero.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def recomputing(model: PreTrainedModel) -> Iterator[None]:
    """Has the layers of a model recompute what the forward passes within the block need for their gradient.

    The gradient is the same to the bit. transformers does this only for a model in training mode, where dropout would
    be on; here the mode of the model does not matter.

    Raises:
        ConfigError: transformers does not say which modules are the layers of this kind of model.
    """
    layers = layers_of(model)
    if not layers:
        raise ConfigError(f"a {type(model).__name__} cannot recompute its layers; leave gradient_checkpointing out")
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """Returns the layers of a model, from first to last; none if transformers does not say which modules these are."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
