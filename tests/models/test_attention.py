"""Repeated heads of keys change no result, and no head of keys is left that several heads of queries share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hero.distill.trainer import TorchTrainer
from hero.models import attention
from hero.models.attention import NAME, repeat_key_heads
from hero.models.kv_cache import CachedPrefix, prefill
from hero.models.load import load
from tests.tiny_models import TinyLM, every_kind, in_float64, save_pretrained, tiny_model

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7, 9, 3]])


@pytest.fixture(autouse=True)
def _everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has models on the CPU count as on a GPU; only what does not attend by `sdpa` is left as it is."""
    monkeypatch.setattr(attention, "_is_concerned", lambda model: model.config._attn_implementation == "sdpa")


def in_float32(build: Any) -> Any:
    return in_float64(build).to(torch.float32)  # type: ignore[arg-type]


def results(model: Any) -> list[Tensor]:
    """Returns logits, those after prompts and after more ids that are read from a cache, and the gradient."""
    model.zero_grad()
    logits = model(input_ids=IDS, use_cache=False).logits
    logits.square().sum().backward()
    with torch.no_grad():
        batch, after_prompts = prefill(model, [CachedPrefix()] * 2, [tuple(row) for row in IDS.tolist()], room=3)
        after_more = [batch.forward(IDS[:, :2]), batch.forward(IDS[:, :1])]
    return [logits, after_prompts, *after_more, *(weight.grad for weight in model.parameters())]


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bool]]:
    """Records the heads of queries and of keys of each attention, and whether it is told that they are shared."""
    attend, seen = functional.scaled_dot_product_attention, []

    def spy(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        seen.append((query.shape[1], key.shape[1], options.get("enable_gqa", False)))
        return attend(query, key, value, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    return seen


@every_kind
def test_the_result_is_the_same(build: Any) -> None:
    model, other = in_float32(build), in_float32(build)
    repeat_key_heads(model)
    assert model.config._attn_implementation == (NAME if other.config._attn_implementation == "sdpa" else "eager")
    for mine, expected in zip(results(model), results(other), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_no_queries_share_a_head_of_keys(heads: list[tuple[int, int, bool]]) -> None:
    model = in_float32(tiny_model)
    queries, keys = model.config.num_attention_heads, model.config.num_key_value_heads
    model(input_ids=IDS)
    repeat_key_heads(model)
    model(input_ids=IDS)
    layers = model.config.num_hidden_layers
    assert heads == [(queries, keys, True)] * layers + [(queries, queries, False)] * layers


def test_under_a_mask_it_is_as_before(heads: list[tuple[int, int, bool]]) -> None:
    model = in_float32(tiny_model)

    def decode() -> list[tuple[int, int, bool]]:
        with torch.no_grad():
            batch, _ = prefill(model, [CachedPrefix()] * 2, [(3, 1, 4), (1,)], room=1)
            heads.clear()
            batch.forward(IDS[:, :1])
        return [*heads]

    before = decode()
    repeat_key_heads(model)
    assert decode() == before


def test_a_model_that_is_trained_or_loaded_repeats_them(tmp_path: Path) -> None:
    lm = TinyLM(in_float32(tiny_model))
    TorchTrainer(lm)
    assert lm.model.config._attn_implementation == NAME
    save_pretrained(tmp_path)
    assert load(str(tmp_path)).model.config._attn_implementation == NAME


def test_the_processor_half_precision_and_other_attention_are_not_concerned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model: Any = in_float32(tiny_model)
    assert not attention._is_concerned(model)
    on_gpu: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32, config=model.config)
    monkeypatch.setattr(attention, "attends_only", lambda model: True)
    assert attention._is_concerned(on_gpu)
    monkeypatch.setattr(attention, "attends_only", lambda model: False)
    assert not attention._is_concerned(on_gpu)
    monkeypatch.setattr(attention, "attends_only", lambda model: True)
    on_gpu.dtype = torch.bfloat16
    assert not attention._is_concerned(on_gpu)
    on_gpu.dtype = torch.float32
    model.set_attn_implementation("eager")
    assert not attention._is_concerned(on_gpu)


def test_a_saved_model_does_not_ask_for_it(tmp_path: Path) -> None:
    model = in_float32(tiny_model)
    repeat_key_heads(model)
    model.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text(encoding="utf-8")
