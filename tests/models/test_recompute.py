"""Layers that recompute give the same gradient to the bit, keep less, and are as before outside the block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hero.errors import ConfigError
from hero.models.recompute import recomputing
from tests.tiny_models import KINDS, tiny_model

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def kept_and_gradient(model: Any) -> tuple[int, list[Tensor]]:
    """Returns the bytes that a forward pass keeps for the backward pass, and the gradient."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=IDS, use_cache=False).logits.square().sum()
    size = sum(kept.values())
    loss.backward()
    return size, [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_the_gradient_is_the_same_and_less_is_kept(kind: str, training: bool) -> None:
    model: Any = KINDS[kind]().train(training)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    whole, expected = kept_and_gradient(model)
    with recomputing(model):
        less, gradient = kept_and_gradient(model)
    again, _ = kept_and_gradient(model)
    assert all(torch.equal(mine, other) for mine, other in zip(gradient, expected, strict=True))
    assert less < 0.8 * whole == 0.8 * again
    assert model.training is training


def test_the_layers_are_as_before_whatever_ends_the_block() -> None:
    model = tiny_model()
    with pytest.raises(RuntimeError), recomputing(model):
        raise RuntimeError
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_model_without_layers_to_recompute_is_refused() -> None:
    model: Any = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="a Linear cannot recompute its layers"), recomputing(model):
        pass
