"""A forward pass of adapted layers with less overhead than PEFT's, for sampling.

A step of decoding is many small operations, and PEFT's layers double their number: they convert the input, scale the
result and convert it back. Here an adapter is scaled and converted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from hero.models.lora import adapted_layers, is_adapted

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def quick_adapters(model: PreTrainedModel) -> Iterator[None]:
    """Has the adapter in use computed quickly within the block, in the precision of the base.

    Nothing may be trained there, nor another adapter be activated. What is not a linear layer with one adapter is
    computed by PEFT.
    """
    adapted: list[Any] = [layer for _, layer in adapted_layers(model)] if is_adapted(model) else []
    quick = [(layer, _forward(layer)) for layer in adapted if _is_plain(layer)]
    try:
        for layer, forward in quick:
            layer.forward = forward
        yield
    finally:
        for layer, _ in quick:
            vars(layer).pop("forward", None)  # that of its class is back


def _is_plain(layer: Any) -> bool:
    from peft.tuners.lora import Linear

    base = layer.get_base_layer()
    return (
        isinstance(layer, Linear)
        and type(base) is torch.nn.Linear
        and len(layer.active_adapters) == 1
        and not (layer.disable_adapters or layer.merged)
    )


def _forward(layer: Any) -> Callable[[Tensor], Tensor]:
    (name,) = layer.active_adapters
    weight_OI, bias_O = layer.get_base_layer().weight, layer.get_base_layer().bias
    down_RI = layer.lora_A[name].weight.detach().to(weight_OI.dtype)
    up_OR = (layer.lora_B[name].weight.detach() * layer.scaling[name]).to(weight_OI.dtype)
    return lambda x: linear(x, weight_OI, bias_O).add_(linear(linear(x, down_RI), up_OR))
