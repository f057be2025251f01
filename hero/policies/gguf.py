"""Models in llama.cpp's GGUF format, with the tokenizer that they were trained with."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hero.errors import ConfigError


def load_gguf(path: Path) -> tuple[Any, Any]:
    """Model (float32) and tokenizer of a GGUF file; takes tens of seconds, so `save` the result for the next time.

    The weights come out of their quantisation, and the model is a plain one that can be trained and saved.

    Raises:
        ConfigError: there is no such file, a package to read it with is missing, or it is not known how the vocabulary
            splits text.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}")
    if missing := [package for package in ("accelerate", "gguf") if find_spec(package) is None]:
        raise ConfigError(
            f"{path.name} cannot be read without {' and '.join(missing)}; pip install 'hero-agents[gguf]'"
        )
    split = _split_name(path)
    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    tokenizer: Any = AutoTokenizer.from_pretrained(**where)
    _set_split(tokenizer, split)
    loaded: Any = AutoModelForCausalLM.from_pretrained(**where)
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # transformers would refuse to save the model
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")  # type: ignore[no-untyped-call]
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    return model, tokenizer


def _split_name(path: Path) -> str:
    """llama.cpp's name for how a byte-level vocabulary splits text before the merges; "" for other vocabularies."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    if fields["tokenizer.ggml.model"].contents() != "gpt2":
        return ""
    name: str = fields["tokenizer.ggml.pre"].contents() if "tokenizer.ggml.pre" in fields else "default"
    return name


def _set_split(tokenizer: Any, name: str) -> None:
    """Makes the tokenizer split text as its merges were learned.

    transformers does so for the names in its own table, and leaves GPT-2's split in place for every other.
    """
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if name == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif name not in {"", "default", "gpt-2", *GGUF_PRE_TOKENIZER_SPLITS}:
        raise ConfigError(
            f"it is not known how a vocabulary of the kind {name!r} splits text; take the model's safetensors version"
        )
