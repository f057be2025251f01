"""What the rest of the package knows of a model whose weights are split among processes (`hero.models.sharding`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

SHARDED_DECODER: Final = "hero_decoder"
"""Attribute of a sharded model with what runs its decoder, after its weights have been gathered."""


def is_sharded(model: PreTrainedModel) -> bool:
    """Returns whether the weights of a model are split among processes."""
    return hasattr(model, SHARDED_DECODER)


def whole(tensor: Tensor) -> Tensor:
    """Returns all of a tensor that is split among processes, which all have to call this; another one as it is."""
    full: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full
