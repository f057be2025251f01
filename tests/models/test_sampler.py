"""Sampling: log-probabilities are true, samples follow the distribution, and seeds decide them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hero.chat.base import drift_tokens
from hero.chat.template import TemplateChat
from hero.errors import ConfigError, PolicyError
from hero.models.language_model import LanguageModel
from hero.policy import ContextLimited, Policy
from hero.testing.templates import CHATML, tokenizer
from hero.types import Tokens
from tests.models.acting import ask, assert_true_logprobs, tokens_of
from tests.tiny_models import (
    ENCODING,
    CharacterChat,
    random_model,
    tiny_model,
)

LM = random_model()
IDS = torch.arange(ENCODING.n_vocab)
questions = st.lists(st.text("ab \n?", max_size=30), min_size=1, max_size=6)


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
    """The tests above rely on this."""
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


def test_a_longer_reply_begins_with_the_ids_of_a_shorter_one() -> None:
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


def test_tokens_after_the_end_of_a_reply_do_not_count() -> None:
    """Rows that have ended are read on with the others for a while."""
    lm = LanguageModel(tiny_model().float(), CharacterChat(), "no way on")
    with torch.no_grad():
        lm.model.get_input_embeddings().weight[1] = math.nan  # the id that ends a reply
        lm.model.lm_head.weight = torch.nn.Parameter(torch.randn_like(lm.model.lm_head.weight))
    actions = lm.policy(max_new_tokens=30).act([ask("xyz")] * 30)
    ended = [len(tokens_of(action).action_ids) for action in actions if not action.cut_off]
    assert len(ended) < 30
    assert min(ended) < 10


def test_no_prompts_give_no_actions() -> None:
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
