"""The policies that ship with the package: small Llamas, one trained on each embedded environment."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tiktoken

from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError, DataError, translate_errors

if TYPE_CHECKING:
    from hero.models.language_model import LanguageModel

SPECIAL: Final = TiktokenChat.SPECIAL
RANKS: Final = TiktokenChat.FILE
CONFIG: Final = TiktokenChat.CONFIG
MODELS: Final = Path(__file__).parent / "tiny_models"
SHIPPED: Final = MODELS / "webshop"
PROBE: Final = 'Ab 12\n\n  search[é 你好 😀\t\'] $3.50, #W1 {"a": [true]}\r\n'


def load_taubench() -> LanguageModel:
    """The policy of the embedded TauBench."""
    return load(MODELS / "taubench")


def load(source: str | Path = SHIPPED) -> LanguageModel:
    """The model in a directory of `config.json`, `model.safetensors` and a `TiktokenChat`, on the CPU in float32.

    Without an argument it is the policy of the embedded WebShop.

    Raises:
        DataError: a file is missing, is damaged or does not fit the others.
    """
    from hero.models.check import require_exact, require_usable
    from hero.models.language_model import LanguageModel

    path = Path(source)
    chat = load_chat(path)
    try:
        with translate_errors(DataError, f"{path} holds no usable model"):
            model = _load_model(path, chat.encoding.n_vocab)
            require_usable(str(path), model, chat.encoding.n_vocab)
            lm = LanguageModel(model, chat, "tiny")
            require_exact(lm)
    except ConfigError as error:
        raise DataError(str(error)) from error
    return lm


def _load_model(path: Path, vocabulary: int) -> Any:
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM

    from hero.models.check import require_fit, require_plausible

    config_file, file = _existing(path / "config.json"), _existing(path / "model.safetensors")
    with translate_errors(DataError, f"{config_file} does not describe a model"):
        config: Any = LlamaConfig.from_dict(json.loads(config_file.read_bytes()))
        config._attn_implementation = None  # a file may name one that would be fetched and run
    if config.vocab_size != vocabulary:
        raise DataError(f"{path}: config.json has {config.vocab_size} tokens and {RANKS} has {vocabulary}")
    with translate_errors(DataError, f"{file} cannot be read"):
        weights = load_file(file)
    with translate_errors(DataError, f"{file} does not fit config.json"):
        require_plausible(
            str(path), config, lambda: LlamaForCausalLM(config), tensors=len(weights), room=file.stat().st_size
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


def load_chat(path: Path) -> TiktokenChat:
    """The chat of the ranks (lines `base64token rank`) and the pattern in a directory; special tokens follow the ranks.

    Raises:
        DataError: a file is missing or malformed.
    """
    ranks, config = path / RANKS, path / CONFIG
    merges: dict[bytes, int] = {}
    with translate_errors(DataError, f"{ranks} is not a list of `base64token rank`"):
        lines = _existing(ranks).read_text("ascii").splitlines()
    for number, line in enumerate(lines):
        try:
            token, rank = line.split(" ")
            merges[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError as error:
            raise DataError(f"{ranks}, line {number + 1}: {line!r} is not `base64token rank`") from error
    if sorted(merges.values()) != list(range(len(merges))):
        raise DataError(f"{ranks}: ranks are not 0 to {len(merges) - 1}")
    if lacking := sorted(set(range(256)) - {token[0] for token in merges if len(token) == 1}):
        raise DataError(f"{ranks}: no token for the byte {lacking[0]}; every byte needs one")
    special = {token: len(merges) + place for place, token in enumerate(SPECIAL)}
    with translate_errors(DataError, f'{config} is not {{"pattern": "a regular expression"}}'):
        pattern = json.loads(_existing(config).read_bytes())["pattern"]
        encoding = tiktoken.Encoding("hero-tiny", pat_str=pattern, mergeable_ranks=merges, special_tokens=special)
        if encoding.decode(encoding.encode_ordinary(PROBE)) != PROBE:
            raise DataError(f"{config}: the pattern {pattern!r:.80} does not cover every text")
    return TiktokenChat(encoding)


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise DataError(
            f"{file} is missing; a model directory holds config.json, model.safetensors, {RANKS} and {CONFIG}"
        )
    return file
