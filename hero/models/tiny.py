"""The models that ship with the package: small Llamas, one trained on each embedded environment."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError, DataError, translate_errors
from hero.models.check import require_exact, require_fit, require_plausible, require_usable
from hero.models.language_model import LanguageModel

RANKS: Final = TiktokenChat.FILE
CONFIG: Final = TiktokenChat.CONFIG
MODELS: Final = Path(__file__).parent / "tiny_models"
SHIPPED: Final = MODELS / "webshop"
SAMPLE: Final = 'Ab 12\n\n  search[é 你好 😀\t\'] $3.50, #W1 {"a": [true]}\r\n'
"""A text of many kinds of characters, all of which a pattern has to cover."""


def load_taubench() -> LanguageModel:
    """Loads the model for the embedded TauBench."""
    return replace(load(MODELS / "taubench"), max_new_tokens=128)


def load(source: str | Path = SHIPPED) -> LanguageModel:
    """Loads a model from a directory, on the CPU in float32.

    The directory holds `config.json`, `model.safetensors` and what `TiktokenChat.save` writes. Without an argument it
    is that of the model for the embedded WebShop.

    Raises:
        DataError: a file is missing, is damaged or does not fit the others.
    """
    path = Path(source)
    chat = load_chat(path)
    try:
        with translate_errors(DataError, f"{path} does not hold a usable model"):
            model = _load_model(path, chat.encoding.n_vocab)
            require_usable(str(path), model, chat.encoding.n_vocab)
            lm = LanguageModel(model, chat, "tiny", max_new_tokens=48, learning_rate=2e-4)
            require_exact(lm)
    except ConfigError as error:
        raise DataError(str(error)) from error
    return lm


def new_model(vocabulary: int, layers: int, heads: int, width: int) -> Any:
    """Returns a Llama with random weights, to be trained from nothing."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 5 // 2,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary - 1,
        pad_token_id=None,
        initializer_range=0.05,
    )
    return LlamaForCausalLM(config)


def load_chat(path: Path) -> TiktokenChat:
    """Loads the chat of a directory from its ranks (lines `base64token rank`) and its pattern.

    Special tokens follow the ranks.

    Raises:
        DataError: a file is missing or malformed.
    """
    file, ranks = path / CONFIG, _load_ranks(path / RANKS)
    with translate_errors(DataError, f'{file} is not {{"pattern": "a regular expression"}}'):
        pattern = json.loads(_existing(file).read_bytes())["pattern"]
        chat = TiktokenChat.of(ranks, pattern)
        if chat.encoding.decode(chat.encoding.encode_ordinary(SAMPLE)) != SAMPLE:
            raise DataError(f"{file}: the pattern {pattern!r:.80} does not cover every text")
    return chat


def _load_model(path: Path, vocabulary: int) -> Any:
    config_file, file = _existing(path / "config.json"), _existing(path / "model.safetensors")
    with translate_errors(DataError, f"{config_file} does not describe a model"):
        config: Any = LlamaConfig.from_dict(json.loads(config_file.read_bytes()))
        config._attn_implementation = None  # a file may name one that would be fetched and run
    if config.vocab_size != vocabulary:
        raise DataError(f"{path}: config.json has {config.vocab_size} tokens and {RANKS} has {vocabulary}")
    with translate_errors(DataError, f"{file} cannot be read"):
        weights = load_file(file)
    with translate_errors(DataError, f"{file} does not fit config.json"):
        size = file.stat().st_size
        require_plausible(
            str(path), config, lambda: LlamaForCausalLM(config), tensors=len(weights), max_parameters=size
        )
        model = LlamaForCausalLM(config)
        if config.tie_word_embeddings:
            tied = weights["model.embed_tokens.weight"]
            if not torch.equal(weights.setdefault("lm_head.weight", tied), tied):
                raise DataError(
                    f"{file} does not fit config.json, which ties the head to the embeddings: it holds another head"
                )
        missing, unexpected = model.load_state_dict(weights, strict=False)
        require_fit(
            f"{file} and config.json", {"missing_keys": missing, "unexpected_keys": unexpected, "mismatched_keys": []}
        )
    return model.eval()  # type: ignore[no-untyped-call]


def _load_ranks(file: Path) -> dict[bytes, int]:
    """Loads the rank of each token; every byte has to be a token."""
    ranks: dict[bytes, int] = {}
    with translate_errors(DataError, f"{file} is not a list of `base64token rank`"):
        lines = _existing(file).read_text("ascii").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            token, rank = line.split(" ")
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError as error:
            raise DataError(f"{file}, line {number}: {line!r} is not `base64token rank`") from error
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise DataError(f"{file}: ranks are not 0 to {len(ranks) - 1}")
    if missing := sorted(set(range(256)) - {token[0] for token in ranks if len(token) == 1}):
        raise DataError(f"{file}: no token for the byte {missing[0]}; every byte needs one")
    return ranks


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise DataError(
            f"{file} is missing; a model directory holds config.json, model.safetensors, {RANKS} and {CONFIG}"
        )
    return file
