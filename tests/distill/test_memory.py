"""The estimate of memory counts what a trainer really holds, and what a forward pass really keeps."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hero.distill.base import Example
from hero.distill.memory import GIB, ModelSize, _kept, device_memory, estimate_memory
from hero.distill.teacher_model import TeacherWeights
from hero.distill.trainer import TorchTrainer
from hero.models.lora import add_adapter
from tests.distill.doubles import episode
from tests.tiny_models import TinyLM, every_kind, in_float64, tiny_model

EXAMPLES = [Example(0, tokens, cross_entropy=1.0) for tokens in episode(tiny_model(), 1)]
LIMITS: dict[str, Any] = {"micro_batch_tokens": 1000, "sequences": 2, "kv_cache_bytes": 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lora", [None, 4])
@pytest.mark.parametrize("teacher_weights", ["ema", "live", "frozen"])
def test_what_is_needed_at_any_time_is_what_a_trainer_holds(
    lora: int | None, teacher_weights: TeacherWeights, dtype: torch.dtype
) -> None:
    if lora:
        pytest.importorskip("peft", reason="needs the extra lora")
    lm = TinyLM()
    lm.model.to(dtype)
    estimate = estimate_memory(ModelSize.of(lm.model), lora=lora, teacher_weights=teacher_weights, **LIMITS)
    if lora:
        add_adapter(lm.model, rank=lora)
    trainer = TorchTrainer(lm, teacher_weights=teacher_weights)
    trainer.update(EXAMPLES)
    student, teacher = (set(model.parameters()) for model in (lm.model, trainer._teacher.model))
    trained = [weight for weight in student if weight.requires_grad]
    state = [each for moments in trainer._optimizer.state.values() for each in moments.values() if each.ndim]
    assert estimate.weights + estimate.teacher == sum(weight.nbytes for weight in student | teacher)
    assert estimate.gradient == sum(weight.grad.nbytes for weight in trained if weight.grad is not None)
    assert estimate.optimizer == sum(each.nbytes for each in state)


def test_the_adapter_that_is_counted_is_the_one_that_is_added() -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    model = tiny_model()
    before = ModelSize.of(model)
    add_adapter(model, rank=3)
    assert 3 * before.adapter_parameters == sum(w.numel() for w in model.parameters() if w.requires_grad)
    after = ModelSize.of(model)
    assert (after.parameters, after.adapter_parameters) == (before.parameters, before.adapter_parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_an_adapter_keeps_is_known_before_there_is_one(dtype: torch.dtype) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    model = tiny_model()
    model.to(dtype)
    before = ModelSize.of(model)
    assert all(weight.requires_grad for weight in model.parameters())
    add_adapter(model, rank=1)
    after = ModelSize.of(model)
    assert after.kept_adapted == after.kept == pytest.approx(before.kept_adapted, rel=1e-3)
    # In bfloat16 an adapter keeps more than a forward pass by itself, since it computes in float32.
    assert (before.kept_adapted > before.kept) == (dtype == torch.bfloat16)


def test_of_a_gpu_nine_tenths_are_for_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: SimpleNamespace(total_memory=80 * GIB))
    assert device_memory(torch.device("cuda")) == 72 * GIB


def test_keys_and_values_are_counted_per_token() -> None:
    model = tiny_model()
    cache = model(input_ids=torch.zeros(1, 7, dtype=torch.int64), use_cache=True).past_key_values
    nbytes = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert 7 * ModelSize.of(model).keys_values == nbytes


def test_recomputing_keeps_inputs_and_one_layer_and_fewer_tokens_keep_less() -> None:
    size = ModelSize.of(tiny_model())
    whole, less, fewer = (
        estimate_memory(size, teacher_weights="live", **{**LIMITS, "loss_tokens": 0, **options}).activations
        for options in ({}, {"gradient_checkpointing": True}, {"micro_batch_tokens": 250})
    )
    assert whole == round(1000 * size.kept)
    assert less == round(1000 * (size.kept / 2 + 2 * 64 * size.itemsize))
    assert fewer == round(whole / 4)
    options = {**LIMITS, "loss_tokens": 0, "lora": 4}
    assert estimate_memory(size, teacher_weights="live", **options).activations == round(1000 * size.kept_adapted)


@every_kind
@pytest.mark.parametrize("eager", [False, True])
def test_what_a_longer_sequence_keeps_is_known_from_short_ones(build: Any, eager: bool) -> None:
    model = in_float64(build).float()
    if eager:
        model.set_attn_implementation("eager")
    size = ModelSize.of(model)
    assert size.kept_pairs > 0 or not eager
    length = min(size.context, 400)
    kept = _kept(model, length) - _kept(model, 1)
    assert (length - 1) * size.kept + (length**2 - 1) * size.kept_pairs == pytest.approx(kept, rel=0.01)


def test_pairs_of_tokens_are_counted_in_rows_as_long_as_can_be() -> None:
    model = tiny_model()
    model.set_attn_implementation("eager")
    size = ModelSize.of(model)

    def pairs(**options: Any) -> float:
        limits = {**LIMITS, "loss_tokens": 0, **options}
        estimate = estimate_memory(size, teacher_weights="live", **limits)
        return (estimate.activations / limits["micro_batch_tokens"] - size.kept) / size.kept_pairs

    assert pairs() == pytest.approx(size.context) == pytest.approx(128)
    assert pairs(max_tokens=50) == pytest.approx(50)
    assert pairs(micro_batch_tokens=20) == pytest.approx(20)


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_weights_of_attention_are_no_wider_in_a_wider_model(gradient_checkpointing: bool) -> None:
    model: Any = tiny_model().to(torch.bfloat16)  # type: ignore[arg-type]
    model.set_attn_implementation("eager")
    size = ModelSize.of(model)
    options = {**LIMITS, "loss_tokens": 0, "gradient_checkpointing": gradient_checkpointing}
    got = estimate_memory(size, teacher_weights="live", **options).activations
    kept = 2 * size.kept + 128 * size.kept_pairs  # float32 has twice the bytes
    assert got == round(1000 * (2 * 2 * size.inputs + kept / 2 if gradient_checkpointing else kept))


def test_what_varies_with_the_tokens_of_experts_is_not_of_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {64: 64_000, 128: 128_000 - 7_000, 192: 192_000}
    monkeypatch.setattr("hero.distill.memory._kept", lambda model, tokens: few[tokens])
    model = tiny_model(context=192)
    size = ModelSize.of(model)
    assert (size.kept, size.kept_pairs) == (1000, 0)
    few[192] += 2 * 64**2 * 2 * model.config.num_attention_heads
    assert ModelSize.of(model).kept_pairs > 2 * model.config.num_attention_heads


def test_the_peak_is_that_of_playing_or_of_learning() -> None:
    size = ModelSize.of(tiny_model())
    options: dict[str, Any] = {"teacher_weights": "live", "loss_tokens": 1, "kv_cache_bytes": 10**12}
    playing = estimate_memory(size, micro_batch_tokens=1, sequences=10**6, **options)
    learning = estimate_memory(size, micro_batch_tokens=10**9, sequences=1, **options)
    assert playing.peak == playing.always + playing.keys_values
    assert learning.peak == learning.always + learning.activations
    assert str(playing).startswith(f"{playing.peak / 2**30:.1f} GiB (weights 0.0, teacher 0.0, ")


def test_keys_and_values_take_what_episodes_need_and_at_most_their_limit() -> None:
    size = ModelSize.of(tiny_model())
    longest = size.context * size.keys_values
    taken = {
        (sequences, limit): estimate_memory(
            size, teacher_weights="live", micro_batch_tokens=1, sequences=sequences, kv_cache_bytes=limit
        ).keys_values
        for sequences, limit in ((0, 10**12), (5, 10**12), (5, 2 * longest), (5, 1))
    }
    assert list(taken.values()) == [0, 20 * longest, 2 * longest, 1]
    for max_tokens, tokens in ((50, 50), (10**6, size.context)):  # one episode is played whatever the limit is
        limits = {"micro_batch_tokens": 1, "sequences": 5, "kv_cache_bytes": 1, "max_tokens": max_tokens}
        estimate = estimate_memory(size, teacher_weights="live", **limits)
        assert estimate.keys_values == tokens * size.keys_values


def test_what_is_split_is_gathered_to_play_and_a_layer_at_a_time_to_learn() -> None:
    size = ModelSize.of(tiny_model())
    alone, split = (estimate_memory(size, teacher_weights="ema", shards=shards, **LIMITS) for shards in (1, 4))
    assert split.always == alone.always // 4
    assert split.keys_values == alone.keys_values + alone.weights
    assert split.activations == alone.activations + alone.weights // 2
    served = estimate_memory(size, teacher_weights="ema", shards=4, **LIMITS | {"sequences": 0})
    assert (served.always, served.keys_values) == (split.always, 0)


def test_measuring_a_model_leaves_no_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[weakref.ref[torch.Tensor]] = []
    hooks = torch.autograd.graph.saved_tensors_hooks

    def watched(pack: Callable[[torch.Tensor], torch.Tensor], unpack: Any) -> Any:
        def watch(tensor: torch.Tensor) -> torch.Tensor:
            result = pack(tensor)
            packed.append(weakref.ref(result))
            return result

        return hooks(watch, unpack)

    monkeypatch.setattr(torch.autograd.graph, "saved_tensors_hooks", watched)
    model = tiny_model()
    size = ModelSize.of(model)
    assert size.kept > 0
    weights = {weight.data_ptr() for weight in model.parameters()}
    alive = [tensor for ref in packed if (tensor := ref()) is not None and tensor.data_ptr() not in weights]
    assert len(packed) > 10
    assert not alive
