"""What is exported is loaded by transformers and PEFT, and gives the same ids and the same logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError
from hero.models import tiny
from hero.models.export import export_adapter, export_model, tokenizer_of
from hero.models.language_model import LanguageModel
from hero.models.load import load
from hero.models.lora import add_adapter, merge_adapter
from hero.testing.strategies import texts
from hero.types import Message
from tests.tiny_models import ENCODING, random_model, save_pretrained

TALK = [Message("system", "You shop."), Message("user", "Page 1\n\n[SEP] 3.50"), Message("assistant", "click[buy now]")]
CHAT = TiktokenChat(ENCODING)
TOKENIZER = tokenizer_of(CHAT)


def logits(model: Any, ids: list[int]) -> Tensor:
    with torch.no_grad():
        result: Tensor = model(input_ids=torch.tensor([ids])).logits
    return result


def as_dicts(messages: list[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def moved(lm: LanguageModel) -> LanguageModel:
    """Adds an adapter that changes the outputs."""
    add_adapter(lm.model, rank=2)
    with torch.no_grad():
        for weight in lm.model.parameters():
            if weight.requires_grad:
                weight += 0.1
    return lm


@pytest.mark.parametrize("name", ["webshop", "taubench"])
def test_a_shipped_model_is_the_same_in_transformers(name: str, tmp_path: Path) -> None:
    lm = tiny.load(tiny.MODELS / name)
    export_model(lm, tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    ids = lm.chat.encode(TALK)
    assert tokenizer.apply_chat_template(as_dicts(TALK), add_generation_prompt=True, return_dict=False) == ids
    assert torch.equal(logits(model, ids), logits(lm.model, ids))
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert {model.generation_config.eos_token_id} == lm.chat.stop_ids


@settings(max_examples=200)
@given(st.lists(texts.filter(lambda text: "<|" not in text), min_size=1, max_size=3))
def test_the_tokenizer_encodes_as_the_chat_does(contents: list[str]) -> None:
    messages = [Message("system", contents[0]), *(Message("user", content) for content in contents[1:])]
    ids = TOKENIZER.apply_chat_template(as_dicts(messages), add_generation_prompt=True, return_dict=False)
    assert ids == CHAT.encode(messages)
    assert TOKENIZER.encode(contents[0], add_special_tokens=False) == CHAT.encode_reply(contents[0])[:-1]


def test_an_exported_model_is_loaded_here_and_acts_as_before(tmp_path: Path) -> None:
    lm = random_model(context=256)
    export_model(lm, tmp_path)
    again = load(str(tmp_path))
    assert again.chat.encode(TALK) == lm.chat.encode(TALK)
    assert again.chat.stop_ids == lm.chat.stop_ids
    first, second = (each.policy(temperature=1.0, seed=3).act([TALK]) for each in (lm, again))
    assert first == second


def test_a_model_of_transformers_keeps_its_tokenizer(tmp_path: Path) -> None:
    save_pretrained(tmp_path / "before")
    lm = load(str(tmp_path / "before"))
    export_model(lm, tmp_path / "after")
    again = load(str(tmp_path / "after"))
    assert again.chat.encode(TALK) == lm.chat.encode(TALK)
    ids = lm.chat.encode(TALK)
    assert torch.equal(logits(again.model, ids), logits(lm.model, ids))


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT 0.21 reads it
def test_an_adapter_is_the_same_in_peft_and_merged(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="needs the extra lora")
    base = random_model(context=256)
    export_model(base, tmp_path / "base")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    lm = moved(base)
    with pytest.raises(ConfigError, match="merge it first"):
        export_model(lm, tmp_path / "whole")
    export_adapter(lm, tmp_path / "adapter", str(tmp_path / "base"))
    ids = lm.chat.encode(TALK)
    expected = logits(lm.model, ids)
    assert not torch.allclose(logits(plain, ids), expected, atol=1e-2)
    assert torch.equal(logits(peft.PeftModel.from_pretrained(plain, tmp_path / "adapter"), ids), expected)
    assert peft.PeftConfig.from_pretrained(tmp_path / "adapter").base_model_name_or_path == str(tmp_path / "base")
    merge_adapter(lm.model)
    export_model(lm, tmp_path / "whole")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    assert torch.allclose(logits(whole, ids), expected, atol=1e-4)


def test_a_chat_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="a str has no tokenizer of transformers"):
        tokenizer_of("")  # type: ignore[arg-type]
