"""Load models in llama.cpp's GGUF format, with the tokenizer that they were trained with."""

from __future__ import annotations

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hero.errors import ConfigError, translate_errors
from hero.models.check import require_fit, require_plausible
from hero.models.tokens import without_additions


def load_gguf(path: Path) -> tuple[Any, Any]:
    """Loads the model (float32) and the tokenizer of a GGUF file.

    The weights are dequantised, so that the model can be trained and saved. This takes tens of seconds; `save` the
    result for the next time.

    Raises:
        ConfigError: there is no such file, it is damaged, a package to read it with is missing, or it is not known how
            the vocabulary splits text.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}")
    if missing := [package for package in ("accelerate", "gguf") if find_spec(package) is None]:
        raise ConfigError(
            f"{path.name} cannot be read without {' and '.join(missing)}; pip install 'hero-agents[gguf]'"
        )
    with translate_errors(
        ConfigError, f"the model {str(path)!r} cannot be loaded; fetch it again, or install what it needs"
    ):
        return _load(path)


def _load(path: Path) -> tuple[Any, Any]:
    from gguf import GGUFReader
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    reader = GGUFReader(path)
    source: dict[str, Any] = {
        "pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "trust_remote_code": False
    }  # fmt: skip
    tokenizer: Any = AutoTokenizer.from_pretrained(**source)
    _set_split(tokenizer, _split_name(reader))
    config: Any = AutoConfig.from_pretrained(**source)

    def build() -> Any:
        return AutoModelForCausalLM.from_config(copy.deepcopy(config), trust_remote_code=False)  # type: ignore[no-untyped-call]

    name = repr(str(path))
    # A quantised weight has at least one bit.
    require_plausible(name, config, build, tensors=len(reader.tensors), max_parameters=8 * path.stat().st_size)
    loaded_and_info: Any = AutoModelForCausalLM.from_pretrained(
        **source,
        config=config,
        generation_config=GenerationConfig.from_model_config(config),  # not from files beside it
        ignore_mismatched_sizes=True,  # they are reported by name instead
        output_loading_info=True,
    )
    loaded, info = loaded_and_info
    require_fit(name, info)
    blocks = {tensor.name.split(".")[1] for tensor in reader.tensors if tensor.name.startswith("blk.")}
    if len(blocks) > (layers := config.get_text_config().num_hidden_layers):  # transformers ignores the others
        raise ConfigError(
            f"{name}: the header states {layers} layers, but the file holds {len(blocks)}; fetch it again"
        )
    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # transformers would refuse to save the model
    model = build()
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    return model, without_additions(tokenizer, len(reader.fields["tokenizer.ggml.tokens"].data), model)


def _split_name(reader: Any) -> str:
    """Returns llama.cpp's name for the rule by which a byte-level vocabulary splits text; "" for other vocabularies."""
    fields = reader.fields
    if fields["tokenizer.ggml.model"].contents() != "gpt2":
        return ""
    name: str = fields["tokenizer.ggml.pre"].contents() if "tokenizer.ggml.pre" in fields else "default"
    return name


def _set_split(tokenizer: Any, name: str) -> None:
    """Makes the tokenizer split text by the rule that its merges were learned with.

    transformers does so for the names in its own table, and uses GPT-2's rule for every other.
    """
    from tokenizers import pre_tokenizers

    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:  # transformers 4 has no such table
        GGUF_PRE_TOKENIZER_SPLITS = {}

    if name == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif name not in {"", "default", "gpt-2", *GGUF_PRE_TOKENIZER_SPLITS}:
        raise ConfigError(
            f"it is not known how a vocabulary of the kind {name!r} splits text; take the model's safetensors version, "
            "or install a newer transformers"
        )
