"""Low-rank adapters (LoRA, 2106.09685) on the linear layers of a model, by PEFT; the base weights stay as they are.

An adapter has a name. The one that is trained is `STUDENT`; a model can carry others beside it, which share the base.
PEFT is imported where an adapter is added, so that models without one need no PEFT.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor

from hero.errors import ConfigError
from hero.models.sharded import is_sharded

if TYPE_CHECKING:
    from peft import PeftConfig
    from peft.tuners.tuners_utils import BaseTunerLayer
    from transformers import PreTrainedModel

STUDENT: Final = "student"
ALL_LINEAR: Final = "all-linear"
"""Stands for every linear layer but the head and those of experts."""


def add_adapter(
    model: PreTrainedModel,
    *,
    rank: int = 16,
    alpha: float = 32.0,
    targets: Sequence[str] = (ALL_LINEAR,),
    seed: int = 0,
) -> None:
    """Adds the adapter `STUDENT` in place, in float32, and freezes all other weights; at first it changes no output.

    Args:
        rank: number of columns of the two matrices whose product is added to each weight.
        alpha: the product is multiplied by alpha / rank.
        targets: names of the linear layers to adapt, or the ends of these, such as `q_proj`; `all-linear` for all. The
            head has no adapter: the teacher reads hidden states with its own, and shares the head. Nor have experts:
            PEFT would compute the weights of all of them anew for every token.
        seed: draws the first of the two matrices; the second is 0.

    Raises:
        ConfigError: PEFT is not installed, an argument is not possible, or the model has an adapter already.
    """
    if find_spec("peft") is None:
        raise ConfigError("peft is not installed, which adapters need; run: pip install 'hero-agents[lora]'")
    from peft import LoraConfig, inject_adapter_in_model

    if not targets:
        raise ConfigError("an adapter needs the names of layers; give all-linear for every linear layer but the head")
    if rank < 1 or not 0 < alpha < float("inf"):
        raise ConfigError(f"an adapter of rank {rank} and alpha {alpha} is not possible; give a rank of 1 or more")
    if is_adapted(model):
        raise ConfigError("the model has an adapter already; merge that into its weights first")
    linear = {name.rpartition(".")[2] for name, _ in adaptable_layers(model)}
    ends = {end for end in linear if not _taken_for_experts(model, end)}
    layers = [name for name, _ in adaptable_layers(model) if name.rpartition(".")[2] in ends]
    named: set[str] = set()
    for target in targets:
        matching = {name for name in layers if target == ALL_LINEAR or f".{name}".endswith(f".{target}")}
        if not matching:
            wrong = f"no linear layer but the head is called {target!r}"
            if target.rpartition(".")[2] in linear - ends:
                wrong = f"PEFT takes layers that are called {target!r} for experts, which have no adapter here"
            raise ConfigError(f"{wrong}; there are: {', '.join(sorted(ends))}")
        named |= matching
    config = LoraConfig(r=rank, lora_alpha=cast("int", alpha), target_modules=sorted(named), lora_dropout=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model, STUDENT)
    for name, weight in model.named_parameters():
        if adapter := f".{STUDENT}." in name:
            weight.data = weight.data.float()
        weight.requires_grad_(adapter)


def adaptable_layers(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yields the linear layers of a model, with their names, but the head and those that return more than a tensor."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    for name, layer in model.named_modules():
        # A few routers of experts are linear layers that return what they chose, too.
        if isinstance(layer, torch.nn.Linear | Conv1D) and layer is not head and "Router" not in type(layer).__name__:
            yield name, layer


def _taken_for_experts(model: PreTrainedModel, name: str) -> bool:
    """Returns whether PEFT takes a name of linear layers for one of experts, also when it loads the adapter.

    In transformers 5 the experts of a layer are one weight. Since 0.19 PEFT reads what their layers were called before
    as that weight, wherever in the model a layer is called so.
    """
    from peft import LoraConfig

    try:
        from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
    except ImportError:
        return False
    config = LoraConfig(target_modules=[name])
    try:
        convert_peft_config_for_transformers(config, model, None)
    except ValueError:  # one of several layers that are in one weight
        return True
    return bool(config.target_parameters)


def copy_adapter(model: PreTrainedModel, name: str) -> None:
    """Adds a second adapter with the weights of `STUDENT`, which is not trained and stays inactive."""
    from peft import inject_adapter_in_model

    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # that of the student
        inject_adapter_in_model(cast("PeftConfig", model.peft_config[STUDENT]), model, name)
    _activate(model, STUDENT)
    for student, copy in adapter_pairs(model, name):
        copy.data = student.data.clone()


def merge_adapter(model: PreTrainedModel) -> None:
    """Adds the adapter `STUDENT` to the weights of the base, in place, and removes all adapters."""
    for name, layer in list(adapted_layers(model)):
        layer.merge(adapter_names=[STUDENT])
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer.get_base_layer())
    del model.peft_config
    model.requires_grad_(True)


def is_adapted(model: PreTrainedModel) -> bool:
    """Returns whether a model has the adapter `STUDENT`."""
    return STUDENT in getattr(model, "peft_config", {})


def adapter_pairs(model: PreTrainedModel, name: str) -> list[tuple[Tensor, Tensor]]:
    """Returns each weight of `STUDENT` with that of another adapter."""
    weights = dict(model.named_parameters())
    return [
        (weight, weights[key.replace(f".{STUDENT}.", f".{name}.")])
        for key, weight in weights.items()
        if f".{STUDENT}." in key
    ]


@contextmanager
def acting_as(model: PreTrainedModel, name: str | None) -> Iterator[None]:
    """Has the forward passes within the block use another adapter than `STUDENT`; None for the base alone."""
    if name is None:
        for _, layer in adapted_layers(model):
            layer.enable_adapters(False)
    else:
        _activate(model, name)
    try:
        yield
    finally:
        if name is None:
            for _, layer in adapted_layers(model):
                layer.enable_adapters(True)
        _activate(model, STUDENT)


def adapter_state(model: PreTrainedModel, name: str) -> dict[str, Tensor]:
    """Returns the weights of an adapter (no copies), by the names that PEFT gives them in files."""
    return {key.replace(f".{name}.", "."): weight for key, weight in model.named_parameters() if f".{name}." in key}


@torch.no_grad()
def load_adapter_state(model: PreTrainedModel, name: str, state: dict[str, Tensor]) -> None:
    """Sets the weights of an adapter; those of a sharded model while they are split among the processes.

    Raises:
        ValueError: the state holds other weights than the adapter has.
    """
    own = adapter_state(model, name)
    if {key: weight.shape for key, weight in own.items()} != {key: weight.shape for key, weight in state.items()}:
        raise ValueError("these are the weights of another adapter")
    if is_sharded(model):
        from hero.models.sharding import split_like

        state = {key: split_like(weight, own[key]) for key, weight in state.items()}
    for key, weight in own.items():
        weight.copy_(state[key])


def adapted_layers(model: PreTrainedModel) -> Iterator[tuple[str, BaseTunerLayer]]:
    """Yields the layers that have adapters, with their names."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module


def _activate(model: PreTrainedModel, name: str) -> None:
    """Makes an adapter the one that forward passes use; the student alone is trained."""
    for _, layer in adapted_layers(model):
        layer.set_adapter(name, inference_mode=name != STUDENT)
