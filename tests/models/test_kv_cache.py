"""Cached keys and values: how a batch is computed changes no sample, and memory stays within its bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from hero.models import kv_cache, sampler
from hero.models.cache_layers import kv_bytes_per_token
from hero.models.language_model import LanguageModel
from hero.models.sampler import TransformersPolicy
from tests.models.acting import ask, assert_true_logprobs, tokens_of
from tests.tiny_models import (
    ENCODING,
    KINDS,
    SHAPE,
    CharacterChat,
    random_model,
    sharing_model,
    sliding_model,
)

LM = random_model()
TOKEN = kv_bytes_per_token(LM.model)


def test_layers_may_share_keys_and_values() -> None:
    lm = LanguageModel(sharing_model(ENCODING.n_vocab), LM.chat, "sharing")
    policy = lm.policy(temperature=1.0, max_new_tokens=8)
    prompts = [ask("a"), ask("ab ab"), ask("? a\n")]
    for _ in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=100)
        prompts = [[*prompt, action.message(), *ask("b?")] for prompt, action in zip(prompts, actions, strict=True)]


@given(st.permutations(range(7)), st.integers(1, 200), st.integers(1, 60))
@settings(max_examples=15)
def test_how_a_batch_is_split_changes_no_sample(order: list[int], batch_tokens: int, prefill_tokens: int) -> None:
    prompts = [ask("ab" * count) for count in order]
    whole = LM.policy(seed=4, max_new_tokens=8).act(prompts)
    small = replace(LM, kv_cache_bytes=4 * batch_tokens * TOKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv_cache, "PREFILL_TOKENS", prefill_tokens)
        split = small.policy(seed=4, max_new_tokens=8).act(prompts)
    assert [tokens_of(action).action_ids for action in split] == [tokens_of(action).action_ids for action in whole]


def test_a_batch_stays_within_its_token_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    prefill = kv_cache.prefill

    def watch(
        model: object, past: Sequence[kv_cache.CachedPrefix], prompts: Sequence[tuple[int, ...]], room: int
    ) -> tuple[kv_cache.Batch, torch.Tensor]:
        sizes.append(len(prompts) * (max(map(len, prompts)) + room + 1))
        batch, logits = prefill(model, past, prompts, room)
        assert len(prompts) * batch.capacity < 100
        return batch, logits

    monkeypatch.setattr(sampler, "prefill", watch)
    small = replace(LM, kv_cache_bytes=4 * 100 * TOKEN)
    small.policy(max_new_tokens=8).act([ask("ab" * count) for count in range(12)])
    assert len(sizes) > 1
    assert max(sizes) <= 100


def test_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    forward = kv_cache.Batch.forward

    def watch(self: kv_cache.Batch, ids: torch.Tensor) -> torch.Tensor:
        read.append(ids.shape[1])
        return forward(self, ids)

    monkeypatch.setattr(kv_cache.Batch, "forward", watch)
    policy = LM.policy(temperature=0, max_new_tokens=3)
    prompt = ask("ab" * 20)
    (action,) = policy.act([prompt])
    read.clear()
    policy.act([[*prompt, action.message(), *ask("c")]])
    # The last token of the action was sampled but not yet read; then the end of the action, "c" and two headers.
    assert read[0] <= len("c") + 5


def test_weights_that_change_between_two_calls_are_noticed() -> None:
    lm = random_model()
    policy = lm.policy(max_new_tokens=4)
    prompt = ask("ab")
    (action,) = policy.act([prompt])
    for parameter in lm.model.parameters():
        parameter.data += 0.01  # behind autograd's back
    assert_true_logprobs(lm, policy.act([[*prompt, action.message(), *ask("b")]]))


def test_a_sliding_window_is_respected_across_turns() -> None:
    """Each sequence is contiguous in the batch, so that distances are right; a gap would let the window end early."""
    lm = LanguageModel(sliding_model(ENCODING.n_vocab), LM.chat, "sliding")
    policy = lm.policy(max_new_tokens=6)
    prompts = [ask("ab" * count) for count in (1, 9, 4)]
    for _ in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions)
        prompts = [
            [*prompt, action.message(), *ask("b" * 3 * row)]
            for row, (prompt, action) in enumerate(zip(prompts, actions, strict=True))
        ]


def latent() -> DeepseekV3ForCausalLM:
    """Makes a model whose keys are wider than its values."""
    shape = {
        **SHAPE, "num_key_value_heads": 2, "kv_lora_rank": 16, "q_lora_rank": None, "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 4, "v_head_dim": 6, "first_k_dense_replace": 2,
    }  # fmt: skip
    return DeepseekV3ForCausalLM(DeepseekV3Config(vocab_size=ENCODING.n_vocab, **shape))


def unequal() -> Any:
    """Makes a model whose layers of full attention have wider heads than the others; skips where there is none."""
    transformers = pytest.importorskip("transformers", minversion="5.20")
    config = transformers.Gemma4TextConfig(
        vocab_size=ENCODING.n_vocab, head_dim=8, global_head_dim=16, sliding_window=8, num_kv_shared_layers=0,
        hidden_size_per_layer_input=0, layer_types=["sliding_attention", "full_attention"], **SHAPE,
    )  # fmt: skip
    return transformers.Gemma4ForCausalLM(config)


@pytest.mark.parametrize("build", [latent, unequal])
def test_keys_and_values_are_counted_whatever_the_layers_are(build: Callable[[], Any]) -> None:
    torch.manual_seed(0)
    lm = LanguageModel(build().eval(), LM.chat, "unlike")
    policy = lm.policy(max_new_tokens=4)
    actions = policy.act([ask("ab"), ask("ab" * 9)])
    assert_true_logprobs(lm, actions, roundings=64)
    assert {prefix.nbytes / len(prefix.ids) for prefix in policy._prefixes} == {kv_bytes_per_token(lm.model)}


def test_kept_memory_is_bounded() -> None:
    prompts = [ask("a" * 40), ask("b" * 40)]
    sizes = []
    for limit in (10**9, 25_000, 0):
        policy = replace(LM, kv_cache_bytes=4 * limit).policy(temperature=0, max_new_tokens=2)
        policy.act(prompts)
        sizes.append(len(policy._prefixes))
    assert sizes[0] == 2
    assert sizes[2] == 0
    assert sizes == sorted(sizes, reverse=True)


def storages(policy: TransformersPolicy) -> int:
    """Returns the number of bytes that are alive because the policy keeps prefixes."""
    tensors = [tensor for prefix in policy._prefixes for layer in prefix.layers for tensor in layer]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


@pytest.mark.parametrize("limit", [0, 30_000, 200_000, 10**9])
def test_the_memory_of_prefixes_is_counted_exactly(limit: int) -> None:
    lm = replace(random_model(context=2048), kv_cache_bytes=4 * limit)
    policy = lm.policy(temperature=0, max_new_tokens=6)
    prompts = [ask("ab"), *[ask("b" * 3)] * 14, ask("ab" * 600)]
    for _ in range(3):
        actions = policy.act(prompts)
        assert storages(policy) == sum(prefix.nbytes for prefix in policy._prefixes) <= limit
        prompts = [[*prompt, action.message(), *ask("c")] for prompt, action in zip(prompts, actions, strict=True)]
    assert len(policy._prefixes) == 16 or limit < 10**9


def test_a_call_makes_one_row_of_logits_a_prompt_and_reads_no_more_at_a_time_than_stated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits: list[torch.Size] = []
    tokens: list[int] = []
    columns: list[int] = []
    forward = kv_cache.Batch.forward

    def watch(self: kv_cache.Batch, ids: torch.Tensor) -> torch.Tensor:
        tokens.append(ids.numel())
        columns.append(len(self.lengths) * self.capacity)
        return forward(self, ids)

    monkeypatch.setattr(kv_cache, "PREFILL_TOKENS", 64)
    monkeypatch.setattr(kv_cache.Batch, "forward", watch)
    lm = replace(random_model(context=2048), kv_cache_bytes=4 * 1000 * TOKEN)
    policy = lm.policy(max_new_tokens=6)
    prompts = [ask("b" * count) for count in (1, 4, 9, 14, 20, 90, 300, 500)]
    for turn in range(3):
        with lm.model.lm_head.register_forward_hook(lambda module, inputs, output: logits.append(output.shape)):
            actions = policy.act(prompts)
        assert_true_logprobs(lm, actions)
        prompts = [
            [*prompt, action.message(), *ask("b" * (50 * (row == turn)))]
            for row, (prompt, action) in enumerate(zip(prompts, actions, strict=True))
        ]
    assert {shape[1] for shape in logits} == {1}
    assert max(tokens) <= 64
    assert max(columns) <= 1000


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_any_lengths_are_read_as_each_alone(kind: str, eager: bool) -> None:
    torch.manual_seed(0)
    model = KINDS[kind]().float().eval()
    if eager:
        model.set_attn_implementation("eager")
    lm = LanguageModel(model, CharacterChat(), kind)
    policy = lm.policy(max_new_tokens=4)
    prompts = [ask("b" * count) for count in (1, 2, 12, 13, 30, 60)]  # the last is at the end of the context of one
    for turn in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=64)
        prompts = [
            [*prompt, action.message(), *ask("c" * (1 + 9 * (row == turn)))]
            for row, (prompt, action) in enumerate(zip(prompts[:-1], actions[:-1], strict=True))
        ]
        prompts.append(ask("a" * (min(lm.context_length, 128) - 2 - turn)))
