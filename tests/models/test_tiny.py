"""Loading the directory of a shipped model, here with random weights, and the patterns of its vocabularies."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import regex
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from benchmarks.tiny import taubench
from benchmarks.tiny.webshop import PATTERN
from hero import registry
from hero.errors import ConfigError, DataError
from hero.models import tiny
from hero.models.load import load
from hero.types import Message
from tests.tiny_models import random_model

PROMPT = [[Message("system", "act"), Message("user", "a red ab, under 30.5 dollars")]]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    random_model(tie_word_embeddings=True).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_is_loaded_as_it_was(tmp_path: Path, tied: bool) -> None:
    lm = random_model(tie_word_embeddings=tied)
    lm.save(tmp_path / "new" / "folder")
    for read in (tiny.load, load):
        loaded = read(str(tmp_path / "new" / "folder"))
        assert loaded.policy(max_new_tokens=20).act(PROMPT) == lm.policy(max_new_tokens=20).act(PROMPT)
        assert not loaded.model.training
    assert loaded.model.config._attn_implementation == "sdpa"


def test_a_tied_head_that_differs_from_the_embeddings_is_refused(tmp_path: Path) -> None:
    random_model(tie_word_embeddings=False).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}), encoding="utf-8")
    with pytest.raises(DataError, match=r"model\.safetensors does not fit config\.json, which ties .* another head"):
        tiny.load(tmp_path)


def test_half_precision_weights_are_loaded_in_single(tmp_path: Path) -> None:
    lm = random_model()
    lm.model.half()
    lm.save(tmp_path)
    assert {parameter.dtype for parameter in tiny.load(tmp_path).model.parameters()} == {torch.float32}


def test_the_loaders_are_registered() -> None:
    assert registry.load("hero.models", "tiny") is tiny.load
    assert registry.load("hero.models", "tiny-taubench") is tiny.load_taubench
    assert registry.load("hero.models", "hf") is load


@pytest.mark.parametrize("text", ["[]", '{"pattern": 3}', "{}", '{"pattern": "("}'])
def test_a_pattern_that_is_not_one_is_refused(saved: Path, text: str) -> None:
    (saved / "tokenizer_config.json").write_text(text)
    with pytest.raises(DataError, match=r"tokenizer_config\.json is not"):
        tiny.load(saved)


@pytest.mark.parametrize("pattern", ["", "a*", "[a-z]+", r"\\S+", "(a+)+$", r"(?=(a+)+$)a|."])
def test_a_pattern_that_loses_text_is_refused(saved: Path, pattern: str) -> None:
    """Some patterns make tiktoken panic, which is not an `Exception`."""
    (saved / "tokenizer_config.json").write_text(json.dumps({"pattern": pattern}))
    with pytest.raises(DataError, match=r"tokenizer_config\.json"):
        tiny.load(saved)


@given(st.text() | st.text(st.sampled_from('ab12 \n[]{}",:_<>/$.,é'), max_size=30))
def test_the_pattern_of_the_service_desk_covers_every_text(text: str) -> None:
    assert "".join(regex.findall(taubench.PATTERN, text)) == text


def test_an_id_reads_alike_in_records_and_in_words() -> None:
    record = regex.findall(taubench.PATTERN, '{"order_id": "#W12345", "items": ["7"]}')
    assert record == ["{", '"order_id": "', "#W", "123", "45", '",', ' "items": ["', "7", '"]}']
    assert regex.findall(taubench.PATTERN, "order #W12345.") == ["order", " #", "W", "123", "45", "."]


@given(st.text() | st.text(st.sampled_from("ab12 \n[]$.,é"), max_size=20))
def test_the_pattern_covers_every_text_and_splits_off_each_digit(text: str) -> None:
    pieces = regex.findall(PATTERN, text)
    assert "".join(pieces) == text
    assert all(len(piece) == 1 for piece in pieces if regex.search(r"\p{N}", piece))


def test_a_button_reads_alike_on_a_page_and_in_an_action() -> None:
    button = ["red", " shoe"]
    assert regex.findall(PATTERN, "click[red shoe]") == ["click", "[", *button, "]"]
    assert regex.findall(PATTERN, "[red shoe] $3.5") == ["[", *button, "]", " $", "3", ".", "5"]
    assert regex.findall(PATTERN, "a [SEP] red") == ["a", " [SEP] ", "red"]


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.tiktoken", "tokenizer_config.json"])
def test_a_missing_file_is_named(saved: Path, file: str) -> None:
    (saved / file).unlink()
    with pytest.raises(DataError, match=file):
        tiny.load(saved)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("YQ==", "line 260"),
        ("not base 64! 259", "line 260"),
        ("YWJj 300", "ranks are not 0 to"),
        ("YQ== 259", "ranks are not 0 to"),
        ("é 259", "is not a list of"),
    ],
)
def test_a_malformed_vocabulary_is_refused(saved: Path, line: str, named: str) -> None:
    with (saved / "tokenizer.tiktoken").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=named):
        tiny.load(saved)


def test_a_vocabulary_without_a_byte_is_refused(saved: Path) -> None:
    ranks = saved / "tokenizer.tiktoken"
    lines = ranks.read_text().splitlines()
    ranks.write_text("\n".join([*lines[:255], f"{base64.b64encode(b'xy').decode()} 255", *lines[256:]]))
    with pytest.raises(DataError, match=r"tokenizer\.tiktoken: no token for the byte 255"):
        tiny.load(saved)


@pytest.mark.parametrize(
    ("name", "named"),
    [("_orig_mod.model.norm.weight", "unexpected _orig_mod"), ("lm_head.weight", r"missing lm_head\.weight")],
)
def test_weights_that_are_not_the_models_are_named(tmp_path: Path, name: str, named: str) -> None:
    random_model().save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {key: x for key, x in weights.items() if not name.endswith(key)}
        | ({name: weights["model.norm.weight"]} if name not in weights else {}),
        tmp_path / "model.safetensors",
    )
    for read in (tiny.load, load):
        with pytest.raises(DataError, match=named):
            read(str(tmp_path))


def test_weights_that_are_not_finite_are_named(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    weights["model.norm.weight"][3] = float("nan")
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(DataError, match=r"not finite in model\.norm\.weight"):
        tiny.load(saved)


def test_variables_of_a_template_are_refused_and_the_date_does_not_matter(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"thinking: the model .* has no chat template to read"):
        load(str(saved), template_args={"thinking": True})
    assert load(str(saved), date="2026-11-26").policy(max_new_tokens=4).act(PROMPT)


def test_files_of_different_models_are_refused(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with (saved / "tokenizer.tiktoken").open("a") as file:
        file.write("YWJj 259\n")
    with pytest.raises(DataError, match=r"263 tokens and tokenizer\.tiktoken has 264"):
        tiny.load(saved)
    other = tmp_path_factory.mktemp("other")
    random_model(hidden_size=64).save(other)
    random_model().chat.save(saved)
    (saved / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="does not fit"):
        tiny.load(saved)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_a_broken_file_is_named(saved: Path, file: str) -> None:
    (saved / file).write_bytes(b"{")
    with pytest.raises(DataError, match=file):
        tiny.load(saved)
