"""Sampling: the log-probabilities are true, and how a batch is computed changes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hero.chat.base import drift_tokens
from hero.chat.template import TemplateChat
from hero.distill.base import Example
from hero.distill.pack import Row, Span
from hero.distill.scorer import action_logits
from hero.distill.trainer import TorchTrainer
from hero.errors import ConfigError, PolicyError
from hero.models import kv_cache, sampler
from hero.models.language_model import LanguageModel
from hero.models.load import load
from hero.models.sampler import TransformersPolicy
from hero.policy import ContextLimited, Policy
from hero.types import Action, Message, Tokens
from tests.chat.templates import CHATML, tokenizer
from tests.models.logprobs import assert_true_logprobs, tokens_of
from tests.tiny_models import (
    ENCODING,
    KINDS,
    CharacterChat,
    convolving_model,
    random_model,
    save_pretrained,
    sharing_model,
    sliding_model,
    tiny_model,
)

LM = random_model()
IDS = torch.arange(ENCODING.n_vocab)
questions = st.lists(st.text("ab \n?", max_size=30), min_size=1, max_size=6)


def ask(text: str) -> list[Message]:
    return [Message("user", text)]


@settings(max_examples=20)
@given(questions, st.sampled_from([0.0, 0.7, 1.0]), st.integers(0, 2**32))
def test_logprobs_are_those_of_a_fresh_forward_over_several_turns(
    texts: list[str], temperature: float, seed: int
) -> None:
    policy = LM.policy(temperature=temperature, seed=seed, max_new_tokens=8)
    prompts = [ask(text) for text in texts]
    for turn in range(3):
        actions = policy.act(prompts)
        assert [tokens_of(action).prompt_ids for action in actions] == [
            tuple(LM.chat.encode(prompt)) for prompt in prompts
        ]
        assert_true_logprobs(LM, actions)
        assert {tokens_of(action).temperature for action in actions} == {temperature or 1.0}
        grown = [
            [*prompt, action.message(), *ask("ab" * turn)] for prompt, action in zip(prompts, actions, strict=True)
        ]
        prompts = grown[turn % 2 :] or grown  # episodes end


def test_layers_may_share_keys_and_values() -> None:
    lm = LanguageModel(sharing_model(ENCODING.n_vocab), LM.chat, "sharing")
    policy = lm.policy(temperature=1.0, max_new_tokens=8)
    prompts = [ask("a"), ask("ab ab"), ask("? a\n")]
    for _ in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=100)
        prompts = [[*prompt, action.message(), *ask("b?")] for prompt, action in zip(prompts, actions, strict=True)]


def test_a_model_that_keeps_a_state_is_refused(tmp_path: Path) -> None:
    convolving_model(len(tokenizer(CHATML))).save_pretrained(tmp_path)
    tokenizer(CHATML).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"\(Lfm2ForCausalLM\) keeps a state"):
        load(str(tmp_path))


@settings(max_examples=20)
@given(questions)
def test_greedy_is_what_generate_does(texts: list[str]) -> None:
    for text, action in zip(texts, LM.policy(temperature=0, max_new_tokens=12).act(list(map(ask, texts))), strict=True):
        prompt = torch.tensor([LM.chat.encode(ask(text))])
        generated = LM.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, pad_token_id=0
        )
        expected = tuple(generated[0, prompt.shape[1] :].tolist())
        assert tokens_of(action).action_ids == expected
        assert action.cut_off == (expected[-1] not in LM.chat.stop_ids)
        assert action.text == LM.chat.decode(expected)


def test_replies_of_the_test_model_are_short_and_long() -> None:
    """What the tests above rely on."""
    actions = LM.policy(max_new_tokens=8).act([ask("a" * count) for count in range(40)])
    lengths = {len(tokens_of(action).action_ids) for action in actions}
    assert {1, 8} <= lengths
    assert {action.cut_off for action in actions} == {True, False}
    for action in actions:
        ids = tokens_of(action).action_ids
        assert not LM.chat.stop_ids.intersection(ids[:-1])
        assert action.cut_off == (ids[-1] not in LM.chat.stop_ids)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_distribution(temperature: float) -> None:
    lm = random_model(seed=3)
    actions = lm.policy(temperature=temperature, seed=5, max_new_tokens=1).act([ask("b")] * 4000)
    with torch.no_grad():
        logits = lm.model(torch.tensor([lm.chat.encode(ask("b"))])).logits[0, -1].double()
    expected = 4000 * (logits / temperature).softmax(-1)
    counts = torch.bincount(
        torch.tensor([tokens_of(action).action_ids[0] for action in actions]), minlength=len(expected)
    )
    rare = expected < 10
    seen = [*counts[~rare].tolist(), counts[rare].sum().item()]
    wanted = [*expected[~rare].tolist(), expected[rare].sum().item()]
    assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_a_longer_reply_begins_with_the_numbers_of_a_shorter_one() -> None:
    lm, prompts, seeds = random_model(stop_bias=-9.0), [ask("a" * count) for count in range(8)], range(8)
    short, long = (lm.policy(max_new_tokens=size).act(prompts, seeds) for size in (3, 9))
    for one, other in zip(short, long, strict=True):
        assert tokens_of(one).action_ids == tokens_of(other).action_ids[:3]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_seeds_decide_where_something_is_sampled(temperature: float) -> None:
    policy, prompts = LM.policy(temperature=temperature, max_new_tokens=8), [ask("a" * 7)] * 20
    first, again, other = (policy.act(prompts, seeds) for seeds in (range(20), range(20), range(20, 40)))
    assert [action.text for action in first] == [action.text for action in again]
    assert (first != other) == (len(set(first)) > 1) == (temperature > 0)


def test_without_seeds_a_policy_goes_on_drawing() -> None:
    policy, prompts = LM.policy(seed=1, max_new_tokens=8), [ask("a" * count) for count in range(8)]
    first, second = policy.act(prompts), policy.act(prompts)
    assert first != second
    assert LM.policy(seed=1, max_new_tokens=8).act(prompts) == first


def test_there_is_a_seed_for_every_prompt() -> None:
    with pytest.raises(ValueError, match="shorter"):
        LM.policy().act([ask("a"), ask("b")], [1])


def test_equal_seeds_give_equal_samples_whatever_the_global_generator_does() -> None:
    prompts = [ask("a" * count) for count in range(8)]
    first = LM.policy(seed=1, max_new_tokens=8).act(prompts)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert LM.policy(seed=1, max_new_tokens=8).act(prompts) == first
    assert torch.equal(torch.get_rng_state(), state)
    assert LM.policy(seed=2, max_new_tokens=8).act(prompts) != first


@given(st.permutations(range(7)), st.integers(1, 200), st.integers(1, 60))
@settings(max_examples=15)
def test_how_a_batch_is_split_changes_no_sample(order: list[int], batch_tokens: int, prefill_tokens: int) -> None:
    prompts = [ask("ab" * number) for number in order]
    whole = LM.policy(seed=4, max_new_tokens=8).act(prompts)
    small = LanguageModel(LM.model, LM.chat, LM.name, batch_tokens=batch_tokens)
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
    small = LanguageModel(LM.model, LM.chat, LM.name, batch_tokens=100)
    small.policy(max_new_tokens=8).act([ask("ab" * number) for number in range(12)])
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
    prompts = [ask("ab" * number) for number in (1, 9, 4)]
    for _ in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions)
        prompts = [
            [*prompt, action.message(), *ask("b" * 3 * place)]
            for place, (prompt, action) in enumerate(zip(prompts, actions, strict=True))
        ]


def test_dropout_is_off_while_sampling_and_only_then() -> None:
    lm = random_model(attention_dropout=0.5)
    lm.model.train()
    (action,) = lm.policy(max_new_tokens=8).act([ask("ab")])
    assert lm.model.training
    lm.model.eval()
    assert_true_logprobs(lm, [action])


def test_the_context_bounds_prompts_and_replies() -> None:
    lm = random_model(context=32, stop_bias=-9.0)
    policy = lm.policy(temperature=0, max_new_tokens=20)
    header = len(lm.chat.encode(ask("")))
    long, full, over = (policy.act([ask("b" * (size - header))]) if size < 32 else None for size in (20, 31, 32))
    assert long is not None
    assert full is not None
    assert over is None
    assert len(tokens_of(long[0]).action_ids) == 12
    assert len(tokens_of(full[0]).action_ids) == 1
    assert long[0].cut_off
    with pytest.raises(PolicyError, match="32 tokens leaves no room in the context of random, 32 tokens"):
        policy.act([ask("b" * (32 - header))])
    assert isinstance(policy, ContextLimited)
    assert (policy.context_length, policy.count(ask("bb"))) == (32, header + 2 + 20)


@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize(
    ("odd", "id_"), [(math.nan, 40), (math.inf, 40), (-math.inf, slice(None))], ids=["nan", "inf", "all -inf"]
)
def test_logits_that_are_not_finite_are_an_error(temperature: float, odd: float, id_: int | slice) -> None:
    lm = random_model()
    lm.model.lm_head.register_forward_hook(lambda module, inputs, logits: logits.index_fill(-1, IDS[id_], odd))
    with pytest.raises(PolicyError, match="random gives logits that are not finite after a prompt of 4 tokens and 0"):
        lm.policy(temperature=temperature).act([ask("ab")])


def test_ids_may_be_excluded() -> None:
    lm = random_model(stop_bias=-9.0)
    lm.model.lm_head.register_forward_hook(lambda module, inputs, logits: logits.index_fill(-1, IDS[:200], -math.inf))
    actions = lm.policy(max_new_tokens=20).act([ask("ab")] * 20)
    assert min(min(tokens_of(action).action_ids) for action in actions) >= 200


@pytest.mark.parametrize("temperature", [1e-320, 1e-40])
def test_a_temperature_that_cannot_be_divided_by_is_an_error(temperature: float) -> None:
    with pytest.raises(PolicyError, match="give a higher temperature"):
        LM.policy(temperature=temperature).act([ask("ab")])


def test_what_follows_the_end_of_a_reply_is_of_no_account() -> None:
    """Rows that have ended are read on with the others for a while."""
    lm = LanguageModel(tiny_model().float(), CharacterChat(), "no way on")
    with torch.no_grad():
        lm.model.get_input_embeddings().weight[1] = math.nan  # the id that ends a reply
        lm.model.lm_head.weight = torch.nn.Parameter(torch.randn_like(lm.model.lm_head.weight))
    actions = lm.policy(max_new_tokens=30).act([ask("xyz")] * 30)
    ended = [len(tokens_of(action).action_ids) for action in actions if not action.cut_off]
    assert len(ended) < 30
    assert min(ended) < 10


def test_nothing_is_answered_with_nothing() -> None:
    policy: Policy = LM.policy()
    assert policy.act([]) == []


@pytest.mark.parametrize(
    "arguments",
    [{"temperature": -0.1}, {"temperature": math.nan}, {"temperature": math.inf}, {"max_new_tokens": 0}, {"seed": -1}],
)
def test_impossible_settings_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LM.policy(**arguments)  # type: ignore[arg-type]


def test_the_version_stands_in_the_tokens() -> None:
    assert tokens_of(LM.policy(version=7, max_new_tokens=1).act([ask("a")])[0]).policy_version == 7


def test_kept_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [ask("a" * 40), ask("b" * 40)]
    sizes = []
    for limit in (sampler.STORE_BYTES, 25_000, 0):
        monkeypatch.setattr(sampler, "STORE_BYTES", limit)
        policy = LM.policy(temperature=0, max_new_tokens=2)
        policy.act(prompts)
        sizes.append(len(policy._prefixes))
    assert sizes[0] == 2
    assert sizes[2] == 0
    assert sizes == sorted(sizes, reverse=True)


def storages(policy: TransformersPolicy) -> int:
    """Bytes that are alive because the policy keeps something."""
    tensors = [tensor for prefix in policy._prefixes for layer in prefix.layers for tensor in layer]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


@pytest.mark.parametrize("limit", [0, 30_000, 200_000, 10**9])
def test_what_is_kept_is_what_is_counted(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(sampler, "STORE_BYTES", limit)
    lm = random_model(context=2048)
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
    lm = replace(random_model(context=2048), batch_tokens=1000)
    policy = lm.policy(max_new_tokens=6)
    prompts = [ask("b" * number) for number in (1, 4, 9, 14, 20, 90, 300, 500)]
    for turn in range(3):
        with lm.model.lm_head.register_forward_hook(lambda module, inputs, output: logits.append(output.shape)):
            actions = policy.act(prompts)
        assert_true_logprobs(lm, actions)
        prompts = [
            [*prompt, action.message(), *ask("b" * (50 * (place == turn)))]
            for place, (prompt, action) in enumerate(zip(prompts, actions, strict=True))
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
    prompts = [ask("b" * number) for number in (1, 2, 12, 13, 30, 60)]  # the last is at the end of the context of one
    for turn in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=64)
        prompts = [
            [*prompt, action.message(), *ask("c" * (1 + 9 * (place == turn)))]
            for place, (prompt, action) in enumerate(zip(prompts[:-1], actions[:-1], strict=True))
        ]
        prompts.append(ask("a" * (min(lm.context_length, 128) - 2 - turn)))


LONG = {
    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 256,
    "short_factor": [1.0] * 4, "long_factor": [1.5, 4.0, 16.0, 64.0],
}  # fmt: skip
TURNED: dict[str, tuple[str, dict[str, Any]]] = {
    "longrope": ("phi3", {"rope_parameters": LONG, "original_max_position_embeddings": 256}),
    "longrope by layer": (
        "gemma3_text",
        {"rope_parameters": {"full_attention": LONG, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}},
         "head_dim": 8, "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "dynamic": ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0},
                          "max_position_embeddings": 256}),
}  # fmt: skip
"""Models that turn the keys of all tokens otherwise where a sequence has more than 256."""


@pytest.mark.parametrize("kind", TURNED)
def test_a_model_that_depends_on_the_length_stays_where_it_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    model, config = TURNED[kind]
    save_pretrained(tmp_path, model, **({"max_position_embeddings": 512} | config))
    lm = load(str(tmp_path))
    assert lm.context_length == 256
    announced = [record.getMessage() for record in caplog.records if record.name.startswith("hero")]
    assert ["attends to 512 tokens, of which 256 are used" in text for text in announced] == [True] * ("long" in kind)
    policy, header = lm.policy(max_new_tokens=9), len(lm.chat.encode(ask("b"))) - 1
    prompts, played = [ask("a"), ask("b" * 40), ask("ab " * 5), ask("b" * (254 - header))], list[Action]()
    for _ in range(2):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=64)
        played += actions
        grown = [[*prompt, action.message(), *ask("c")] for prompt, action in zip(prompts, actions, strict=True)]
        prompts = [*(prompt for prompt in grown if policy.count(prompt) <= 256), ask("b" * (255 - header))]
        assert len(prompts) > 1
    lived = [Example(n, tokens_of(action), policy_gradient=n - 3.5) for n, action in enumerate(played)]
    assert max(len(tokens_of(action).prompt_ids + tokens_of(action).action_ids) for action in played) == 256
    assert TorchTrainer(lm).update(lived)["mismatch"] < 1e-5
    with pytest.raises(PolicyError, match="a prompt of 256 tokens leaves no room in the context"):
        policy.act([ask("b" * (256 - header))])
    with pytest.raises(PolicyError, match="an action and its prompt have 257 tokens, but the model reads 256"):
        action_logits(lm.model, [Row((5,) * 257, (Span(256, 257, (0,)),))])


def test_a_model_with_a_template_is_saved_and_loaded(tmp_path: Path) -> None:
    lm = LanguageModel(random_model(vocab_size=len(tokenizer(CHATML))).model, TemplateChat(tokenizer(CHATML)), "x")
    lm.model.generation_config.eos_token_id = [5, 6]  # as Llama's, which end calls of tools with a token of its own
    lm.save(tmp_path / "saved")
    loaded = load(str(tmp_path / "saved"))
    assert loaded.name == "saved"
    assert loaded.chat.stop_ids == lm.chat.stop_ids | {5, 6}
    loaded = replace(loaded, chat=lm.chat)
    prompts = [ask("hello"), [Message("system", "be brief"), *ask("ab")]]
    assert loaded.policy(max_new_tokens=8).act(prompts) == lm.policy(max_new_tokens=8).act(prompts)


def test_the_ledger_of_a_template_is_extended_by_every_turn() -> None:
    lm = LanguageModel(random_model(vocab_size=len(tokenizer(CHATML))).model, TemplateChat(tokenizer(CHATML)), "x")
    policy, prompt = lm.policy(max_new_tokens=6), ask("ab")
    played: list[Tokens] = []
    for _ in range(3):
        (action,) = policy.act([prompt])
        played.append(tokens_of(action))
        prompt = [*prompt, action.message(), *ask("\n\nab")]
    for before, now in pairwise(played):
        assert drift_tokens(before.prompt_ids + before.action_ids, now.prompt_ids) == 0


def test_what_cannot_be_found_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"no config\.json"):
        load(str(tmp_path))
    with pytest.raises(ConfigError, match="no-such-model"):
        load("no-such-model")
    with pytest.raises(ConfigError, match=r"no file .*none\.gguf"):
        load(str(tmp_path / "none.gguf"))
