"""Estimate the memory that training takes, before it is taken.

What grows with the number of tokens is measured on short sequences, so that it holds for any architecture and any
attention; the rest is counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Self

import torch
from torch import Tensor

from hero.distill.scorer import CHUNK_LOGITS
from hero.distill.teacher_model import TeacherWeights
from hero.models.architecture import context_length
from hero.models.cache_layers import kv_bytes_per_token
from hero.models.lora import adaptable_layers, is_adapted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBE_TOKENS: Final = 64
"""Tokens of the shortest of the three sequences on which activations are measured, each longer than the last by as
many."""
LOGITS_COPIES: Final = 12
"""Number of tensors as large as the logits that the losses take at a time, as measured (`benchmarks.memory`)."""
GIB: Final = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """Describes a model by what its memory depends on.

    Attributes:
        parameters: number of weights.
        nbytes: their size as they are loaded.
        itemsize: bytes of a number in its activations.
        adapter_parameters: number of weights that an adapter of rank 1 on all layers that can have one adds.
        vocabulary: number of ids.
        inputs: numbers per token that go into its layers.
        kept: bytes per token that a forward pass keeps for the backward pass where all weights are trained.
        kept_adapted: those where an adapter alone is trained, which keeps the input of each layer in float32; the base
            keeps none, since its weights need no gradient.
        kept_pairs: bytes per pair of tokens of a sequence that it keeps besides; 0 unless attention keeps its weights,
            as `eager` does, and PyTorch where it has no better kernel for a device and precision. Masks do not count.
        keys_values: bytes per token of keys and values.
        layers: number of layers.
        context: maximum number of tokens of a sequence.
    """

    parameters: int
    nbytes: int
    itemsize: int
    adapter_parameters: int
    vocabulary: int
    inputs: int
    kept: float
    kept_adapted: float
    kept_pairs: float
    keys_values: int
    layers: int
    context: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> Self:
        """Measures a model as it is loaded; the weights of an adapter are not counted.

        Of a model with an adapter `kept` is what that keeps, too.
        """
        config = model.config.get_text_config()
        weights = [weight for name, weight in model.named_parameters() if ".lora_" not in name]
        itemsize = weights[0].itemsize
        kept, kept_pairs = _kept_per_token_and_pair(model)
        kept_adapted = kept
        if not is_adapted(model):
            with _as_if_adapted(model):
                kept_adapted, _ = _kept_per_token_and_pair(model)
        return cls(
            parameters=sum(weight.numel() for weight in weights),
            nbytes=sum(weight.nbytes for weight in weights),
            itemsize=itemsize,
            adapter_parameters=sum(module.in_features + module.out_features for module in _layers(model)),
            vocabulary=config.vocab_size,
            inputs=config.num_hidden_layers * config.hidden_size,
            kept=kept,
            kept_adapted=kept_adapted,
            kept_pairs=kept_pairs,
            keys_values=kv_bytes_per_token(model),
            context=context_length(model),
            layers=config.num_hidden_layers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Adds up the memory of one process that trains, in bytes.

    Attributes:
        weights: those of the student, as they are trained.
        teacher: those that the teacher does not share with it.
        gradient: of the trained weights.
        optimizer: the two moments of AdamW.
        activations: what a micro-batch keeps for the backward pass, and the logits that exist at a time.
        keys_values: those of the episodes that are decoded at a time, while there are no activations. If the model is
            split among processes, with all of its weights, which are gathered then.
    """

    weights: int
    teacher: int
    gradient: int
    optimizer: int
    activations: int
    keys_values: int

    @property
    def always(self) -> int:
        """Returns what is needed whatever the limits of tokens are."""
        return self.weights + self.teacher + self.gradient + self.optimizer

    @property
    def peak(self) -> int:
        """Returns what is needed at one time."""
        return self.always + max(self.activations, self.keys_values)

    def __str__(self) -> str:
        parts = (f"{each.name.replace('_', ' and ')} {getattr(self, each.name) / GIB:.1f}" for each in fields(self))
        return f"{self.peak / GIB:.1f} GiB ({', '.join(parts)})"


def estimate_memory(
    size: ModelSize,
    *,
    teacher_weights: TeacherWeights,
    micro_batch_tokens: int,
    sequences: int,
    kv_cache_bytes: int,
    lora: int | None = None,
    gradient_checkpointing: bool = False,
    loss_tokens: int | None = None,
    max_tokens: int | None = None,
    shards: int = 1,
) -> MemoryEstimate:
    """Estimates what a `TorchTrainer` and a policy take in one process.

    Args:
        teacher_weights, micro_batch_tokens, gradient_checkpointing: as for `TorchTrainer`.
        sequences: number of episodes under way at a time; 0 where a server plays.
        kv_cache_bytes: as for a `LanguageModel`.
        lora: rank of an adapter on all layers that can have one; None to train all weights.
        loss_tokens: number of action tokens of a micro-batch; None for enough to fill a chunk of logits.
        max_tokens: maximum number of tokens of an episode, a single one of which may take more than `kv_cache_bytes`;
            None where only the model's context limits it, which is far longer than episodes usually are.
        shards: number of processes among which the model is split.
    """
    precision = 4 if lora else max(4, size.itemsize)  # less is made float32
    trained = precision * (lora * size.adapter_parameters if lora else size.parameters)
    weights = size.nbytes + trained if lora else trained
    wider = 1.0 if lora else precision / size.itemsize
    row = min(micro_batch_tokens, max_tokens or micro_batch_tokens, size.context)
    kept = (size.kept_adapted if lora else size.kept) * wider + size.kept_pairs * row  # these are float32 anyway
    if gradient_checkpointing:
        kept = size.inputs * size.itemsize * wider + kept / size.layers  # of one layer at a time, besides all inputs
    logits = CHUNK_LOGITS if loss_tokens is None else min(CHUNK_LOGITS, size.vocabulary * loss_tokens)
    copied = teacher_weights == "ema" or (teacher_weights == "frozen" and not lora)
    teacher = trained if copied else 0
    gathered = 0 if shards == 1 or not sequences else weights
    layer = 0 if shards == 1 else weights // size.layers
    per_token = size.keys_values * wider
    least = round(per_token * min(max_tokens or 0, size.context))
    longest = round(per_token * min(max_tokens or size.context, size.context))
    keys_values = min(max(kv_cache_bytes, least), 4 * longest * sequences)  # four times as TransformersPolicy says
    return MemoryEstimate(
        weights=weights // shards,
        teacher=teacher // shards,
        gradient=trained // shards,
        optimizer=2 * trained // shards,
        activations=round(kept * micro_batch_tokens) + 4 * LOGITS_COPIES * logits + layer,
        keys_values=keys_values + gathered,
    )


def device_memory(device: torch.device) -> int:
    """Returns the bytes that tensors can take on a device; of the CPU those of the machine, 0 where it does not tell.

    Of a GPU that is nine tenths: CUDA itself takes some, and so do gaps between tensors.
    """
    if device.type == "cuda":
        return 9 * torch.cuda.get_device_properties(device).total_memory // 10
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def take_peak(device: torch.device) -> int:
    """Returns the most bytes that tensors on a GPU took at a time since the last call, or since the start."""
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def _layers(model: PreTrainedModel) -> Iterator[torch.nn.Linear]:
    """Yields the linear layers that can have an adapter, without those of an adapter."""
    for name, module in adaptable_layers(model):
        if isinstance(module, torch.nn.Linear) and ".lora_" not in name:
            yield module


def _kept_per_token_and_pair(model: PreTrainedModel) -> tuple[float, float]:
    """Returns the bytes that a forward pass keeps for the backward pass, per token and per pair of tokens."""
    step = max(1, min(PROBE_TOKENS, context_length(model) // 3))
    short, middle, long = (_kept(model, count * step) for count in (1, 2, 3))
    pairs = (long - 2 * middle + short) / (2 * step**2)
    # Less than the weights of one layer comes of masks, or of experts that do not share tokens evenly.
    if pairs < 2 * model.config.get_text_config().num_attention_heads:
        pairs = 0.0
    return (long - short) / (2 * step) - 4 * step * pairs, pairs


@contextmanager
def _as_if_adapted(model: PreTrainedModel) -> Iterator[None]:
    """Has a forward pass keep what it would with an adapter of rank 1 on all layers, which the model need not have."""

    def adapt(layer: torch.nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        down_I1 = torch.zeros(inputs[0].shape[-1], 1, device=output.device, requires_grad=True)
        up_1O = torch.zeros(1, output.shape[-1], device=output.device, requires_grad=True)
        return (output + inputs[0].float() @ down_I1 @ up_1O).to(output.dtype)

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    handles = [layer.register_forward_hook(adapt) for layer in _layers(model)]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)
        for handle in handles:
            handle.remove()


def _kept(model: PreTrainedModel, tokens: int) -> int:
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold the graph that holds it, and none were ever freed

    ids = torch.zeros(1, tokens, dtype=torch.int64, device=model.device)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state  # type: ignore[no-untyped-call]
    del states
    return sum(kept.values())
