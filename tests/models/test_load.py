"""Loading: what is refused, how long a sequence may be, and what is saved is loaded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hero.chat.template import TemplateChat
from hero.distill.base import Example
from hero.distill.pack import Row, Span
from hero.distill.scorer import action_logits
from hero.distill.trainer import TorchTrainer
from hero.errors import ConfigError, PolicyError
from hero.models.language_model import LanguageModel
from hero.models.load import load
from hero.testing.templates import CHATML, tokenizer
from hero.types import Action, Message
from tests.models.acting import ask, assert_true_logprobs, tokens_of
from tests.tiny_models import (
    convolving_model,
    random_model,
    save_pretrained,
)


def test_a_model_that_keeps_a_state_is_refused(tmp_path: Path) -> None:
    convolving_model(len(tokenizer(CHATML))).save_pretrained(tmp_path)
    tokenizer(CHATML).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"\(Lfm2ForCausalLM\) remembers more than keys and values"):
        load(str(tmp_path))


LONG = {
    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 256,
    "short_factor": [1.0] * 4, "long_factor": [1.5, 4.0, 16.0, 64.0],
}  # fmt: skip
LENGTH_DEPENDENT: dict[str, tuple[str, dict[str, Any]]] = {
    "longrope": ("phi3", {"rope_parameters": LONG, "original_max_position_embeddings": 256}),
    "longrope by layer": (
        "gemma3_text",
        {"rope_parameters": {"full_attention": LONG, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}},
         "head_dim": 8, "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "dynamic": ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0},
                          "max_position_embeddings": 256}),
}  # fmt: skip
"""Models that rotate the keys of all tokens differently in a sequence of more than 256."""


@pytest.mark.parametrize("kind", LENGTH_DEPENDENT)
def test_a_model_that_depends_on_the_length_stays_where_it_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    model, config = LENGTH_DEPENDENT[kind]
    save_pretrained(tmp_path, model, **({"max_position_embeddings": 512} | config))
    lm = load(str(tmp_path))
    assert lm.context_length == 256
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("hero")]
    assert ["attends to 512 tokens, of which 256 are used" in text for text in warnings] == [True] * ("long" in kind)
    policy, header = lm.policy(max_new_tokens=9), len(lm.chat.encode(ask("b"))) - 1
    prompts, played = [ask("a"), ask("b" * 40), ask("ab " * 5), ask("b" * (254 - header))], list[Action]()
    for _ in range(2):
        actions = policy.act(prompts)
        assert_true_logprobs(lm, actions, roundings=64)
        played += actions
        grown = [[*prompt, action.message(), *ask("c")] for prompt, action in zip(prompts, actions, strict=True)]
        prompts = [*(prompt for prompt in grown if policy.count(prompt) <= 256), ask("b" * (255 - header))]
        assert len(prompts) > 1
    examples = [Example(n, tokens_of(action), policy_gradient=n - 3.5) for n, action in enumerate(played)]
    assert max(len(tokens_of(action).prompt_ids + tokens_of(action).action_ids) for action in played) == 256
    assert TorchTrainer(lm).update(examples)["mismatch"] < 1e-5
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


def test_a_model_that_cannot_be_found_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"no config\.json"):
        load(str(tmp_path))
    with pytest.raises(ConfigError, match="no-such-model"):
        load("no-such-model")
    with pytest.raises(ConfigError, match=r"no model .*none\.gguf.* nothing in that place"):
        load(str(tmp_path / "none.gguf"))
