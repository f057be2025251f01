"""The policies that ship with the package: small Llamas, one trained on each embedded environment."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tiktoken

from hero.chat import TiktokenChat
from hero.errors import DataError

if TYPE_CHECKING:
    from hero.policies.hf import LanguageModel

SPECIAL: Final = TiktokenChat.SPECIAL
RANKS: Final = TiktokenChat.FILE
CONFIG: Final = TiktokenChat.CONFIG
MODELS: Final = Path(__file__).parent / "tiny_models"
SHIPPED: Final = MODELS / "webshop"


def load_taubench() -> LanguageModel:
    """The policy of the embedded TauBench."""
    return load(MODELS / "taubench")


def load(source: str | Path = SHIPPED) -> LanguageModel:
    """The model in a directory of `config.json`, `model.safetensors` and a `TiktokenChat`, on the CPU in float32.

    Without an argument it is the policy of the embedded WebShop.

    Raises:
        DataError: a file is missing or does not fit the others.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from hero.policies.hf import LanguageModel

    path = Path(source)
    chat = load_chat(path)
    try:
        config = LlamaConfig.from_dict(json.loads(_existing(path / "config.json").read_bytes()))
    except ValueError as error:
        raise DataError(f"{path / 'config.json'} is no JSON: {error}") from error
    if config.vocab_size != chat.encoding.n_vocab:
        raise DataError(f"{path}: config.json has {config.vocab_size} tokens and {RANKS} has {chat.encoding.n_vocab}")
    file = _existing(path / "model.safetensors")
    model = LlamaForCausalLM(config)
    try:
        weights = load_file(file)
        if config.tie_word_embeddings:
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        model.load_state_dict(weights)
    except (RuntimeError, KeyError, SafetensorError) as error:
        raise DataError(f"{file} does not fit config.json: {error}") from error
    return LanguageModel(model.eval(), chat, "tiny")  # type: ignore[no-untyped-call]


def load_chat(path: Path) -> TiktokenChat:
    """The chat of the ranks (lines `base64token rank`) and the pattern in a directory; special tokens follow the ranks.

    Raises:
        DataError: a file is missing or malformed.
    """
    ranks, config = path / RANKS, path / CONFIG
    merges: dict[bytes, int] = {}
    for number, line in enumerate(_existing(ranks).read_text("ascii").splitlines()):
        try:
            token, rank = line.split(" ")
            merges[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError as error:
            raise DataError(f"{ranks}, line {number + 1}: {line!r} is not `base64token rank`") from error
    if sorted(merges.values()) != list(range(len(merges))):
        raise DataError(f"{ranks}: ranks are not 0 to {len(merges) - 1}")
    special = {token: len(merges) + place for place, token in enumerate(SPECIAL)}
    try:
        pattern = json.loads(_existing(config).read_bytes())["pattern"]
        encoding = tiktoken.Encoding("hero-tiny", pat_str=pattern, mergeable_ranks=merges, special_tokens=special)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{config} is not {{"pattern": "a regular expression"}}: {error}') from error
    return TiktokenChat(encoding)


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise DataError(
            f"{file} is missing; a model directory holds config.json, model.safetensors, {RANKS} and {CONFIG}"
        )
    return file
