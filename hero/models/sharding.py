"""Split the weights of a model among processes, with FSDP2 (`torch.distributed.fsdp.fully_shard`).

Between updates each process holds a part of every weight, of its gradient and of its optimiser state. A forward pass
gathers one layer at a time, so every process must make equally many passes; while a policy plays, for which no two
processes need equally many, all weights are gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from hero.errors import ConfigError
from hero.models.head import decoder_of
from hero.models.recompute import layers_of
from hero.models.sharded import SHARDED_DECODER
from hero.processes import Processes


class ShardedModels:
    """Splits the weights of some models, in place; their gradient becomes the sum over all processes.

    Outside of `gather` and `scatter`, all weights but those of layers stay gathered between a forward pass and the next
    backward pass.

    Args:
        models: at least one; one that is there twice is split once.

    Raises:
        ConfigError: transformers does not say which modules are the layers of this kind of model.
    """

    def __init__(self, models: Iterable[PreTrainedModel], processes: Processes) -> None:
        self._models = list(dict.fromkeys(models))
        for model in self._models:
            _shard(model, processes)

    def gather(self, *models: PreTrainedModel) -> None:
        """Has each process hold all weights of some of the models, until `scatter`."""
        for model in models:
            for part in _parts(model):
                part.unshard()
                part.set_reshard_after_forward(False, recurse=False)

    def scatter(self) -> None:
        """Has each process hold its part of the weights alone."""
        for model in self._models:
            for part in _parts(model):
                part.reshard()
                part.set_reshard_after_forward(not isinstance(part, PreTrainedModel), recurse=False)

    def split_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Splits the states of an optimiser's weights, which every process has as a whole."""
        for weight, state in optimizer.state.items():
            for name, tensor in state.items():
                if tensor.shape == weight.shape:
                    state[name] = split_like(tensor, weight)


def _shard(model: PreTrainedModel, processes: Processes) -> None:
    layers = layers_of(model)
    if not layers:
        raise ConfigError(f"a {type(model).__name__} cannot be split into its layers; leave shard out")
    mesh = init_device_mesh(model.device.type, (processes.size,))
    for module in (*layers, model):
        fully_shard(module, mesh=mesh)
    for part in _parts(model):
        part.set_gradient_divide_factor(1.0)
        part.set_force_sum_reduction_for_comms(True)  # gloo cannot scale
    # The decoder is called by itself, and then, too, all weights outside of the layers have to be gathered.
    setattr(model, SHARDED_DECODER, decoder_of(model).__call__)
    register_fsdp_forward_method(model, SHARDED_DECODER)


def named_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """Returns the weights of a sharded model while they are gathered; of the names of a tied one it takes the first."""
    names: dict[Tensor, list[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        names.setdefault(weight, []).append(name)
    buffers = {
        f"{path}.{name}".lstrip("."): buffer
        for path, module in model.named_modules()
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    }
    return {min(tied): weight.detach() for weight, tied in names.items()} | buffers


def split_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Returns a tensor that all processes have, split among them if another one is."""
    if not isinstance(other, DTensor):
        return tensor
    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements)


def load_weights(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Sets all weights of a sharded model; of tied ones it takes one.

    Raises:
        ValueError: these are the weights of another model.
    """
    own = model.state_dict(keep_vars=True)
    present = {id(own[name]) for name in weights if name in own}
    if weights.keys() - own.keys() or any(id(weight) not in present for weight in own.values()):
        raise ValueError("these are the weights of another model")
    model.load_state_dict({name: split_like(each, own[name]) for name, each in weights.items()}, strict=False)


def _parts(model: Any) -> Iterator[FSDPModule]:
    return (module for module in model.modules() if isinstance(module, FSDPModule))
