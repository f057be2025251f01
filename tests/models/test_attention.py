"""Repeated heads of keys change no result, and no head of keys is left that several heads of queries share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hero.models.attention import NAME, repeat_key_heads
from hero.models.kv_cache import CachedPrefix, prefill
from tests.tiny_models import every_kind, in_float64, tiny_model

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5, 8, 9, 7, 9, 3]])


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


@every_kind
def test_the_result_is_the_same(build: Any) -> None:
    model, other = in_float32(build), in_float32(build)
    repeat_key_heads(model)
    assert model.config._attn_implementation == (NAME if other.config._attn_implementation == "sdpa" else "eager")
    for mine, expected in zip(results(model), results(other), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_no_queries_share_a_head_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    attend = functional.scaled_dot_product_attention
    seen = []

    def spy(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        seen.append((query.shape[1], key.shape[1], value.shape[1], options.get("enable_gqa", False)))
        return attend(query, key, value, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    model = in_float32(tiny_model)
    heads, shared = model.config.num_attention_heads, model.config.num_key_value_heads
    model(input_ids=IDS)
    repeat_key_heads(model)
    model(input_ids=IDS)
    layers = model.config.num_hidden_layers
    assert seen == [(heads, shared, shared, True)] * layers + [(heads, heads, heads, False)] * layers


def test_half_precision_and_other_attention_stay_as_they_are() -> None:
    eager = in_float32(tiny_model)
    eager.set_attn_implementation("eager")
    repeat_key_heads(eager)
    assert eager.config._attn_implementation == "eager"
    half: Any = in_float32(tiny_model).to(torch.bfloat16)
    repeat_key_heads(half)
    assert half.config._attn_implementation == "sdpa"


def test_a_saved_model_does_not_ask_for_it(tmp_path: Path) -> None:
    model = in_float32(tiny_model)
    repeat_key_heads(model)
    model.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text(encoding="utf-8")
