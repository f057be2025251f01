"""Load models and tokenizers in the format of transformers, without running code that comes with them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from hero.errors import ConfigError, short_message, translate_errors
from hero.models.check import require_fit, require_plausible, require_real
from hero.models.tokens import largest_id, without_additions


def load_pretrained(source: str, path: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Loads model and tokenizer of a directory or hub name.

    Raises:
        ConfigError: there is no such model, it is damaged, its weights are not those of its configuration, or it needs
            code of its own.
    """
    if path.is_dir() and (path / "adapter_config.json").is_file():
        raise ConfigError(
            f"{source!r} holds an adapter (adapter_config.json), which is not applied here; merge it into its base "
            "with peft's merge_and_unload, and save that with save_pretrained"
        )
    if path.is_dir() and not (path / "config.json").is_file():
        raise ConfigError(f"{source!r} does not hold a model: it has no config.json")
    with translate_errors(
        ConfigError,
        f"the model {source!r} cannot be loaded; fetch it again, or take a causal language model that the installed "
        "transformers supports",
    ):
        try:
            return _load(source, str(path) if path.is_dir() else source, dtype)
        except OSError as error:
            if path.is_dir():
                raise
            raise ConfigError(
                f"no model {source!r}: neither a directory with config.json, weights and tokenizer, nor a name on the "
                f"hub that can be reached from here ({short_message(error)})"
            ) from error
        except ValueError as error:
            if "trust_remote_code" not in str(error):
                raise
            raise ConfigError(
                f"the model {source!r} needs code of its own (auto_map in its configuration), which is never run. If "
                "you have read that code and trust it, load the model and its tokenizer yourself, with transformers "
                "and trust_remote_code=True, and hand them to hero.models.language_model.LanguageModel"
            ) from error


def _load(source: str, location: str, dtype: torch.dtype) -> tuple[Any, Any]:
    from tokenizers import Tokenizer
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    config: Any = AutoConfig.from_pretrained(location, trust_remote_code=False)
    # transformers chooses the attention. A file may name a kernel on the hub, which would be fetched and run, or an
    # attention that cannot use our masks and caches.
    config._attn_implementation = None
    _return_logits_alone(config)
    tokenizer: Any = AutoTokenizer.from_pretrained(location, trust_remote_code=False)
    types, size = _weights(location)
    require_plausible(
        repr(source),
        config,
        lambda: AutoModelForCausalLM.from_config(copy.deepcopy(config), trust_remote_code=False),  # type: ignore[no-untyped-call]
        tensors=len(types),
        # A weight has at least one byte, or one bit if it is quantised.
        max_parameters=8 * size if (quantized := getattr(config, "quantization_config", None)) else size,
    )
    if not quantized:
        require_real(repr(source), types)
    model_and_info: Any = AutoModelForCausalLM.from_pretrained(
        location,
        config=config,
        # Left to itself, transformers 4 would run custom_generate/generate.py of a directory.
        generation_config=GenerationConfig.from_pretrained(location)
        if _file(location, "generation_config.json")
        else GenerationConfig.from_model_config(config),
        dtype=dtype,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # they are reported by name instead
        output_loading_info=True,
    )
    model, info = model_and_info
    require_fit(repr(source), info)
    file = _file(location, "tokenizer.json")
    return model, without_additions(tokenizer, 1 + largest_id(Tokenizer.from_file(file)), model) if file else tokenizer


def _return_logits_alone(config: Any) -> None:
    """Undoes what a file asks a model to return beside logits.

    A loss of the routers, which is added only in training with labels, cannot be computed from a cache.
    """
    for part in (config, config.get_text_config()):
        for name in ("output_router_logits", "output_hidden_states", "output_attentions"):
            if getattr(part, name, False):
                setattr(part, name, False)
        part.return_dict = True


def _file(location: str, name: str) -> str | None:
    """Returns the path of a file in a directory or under a hub name; None if there is none."""
    from transformers.utils.hub import cached_file

    return cached_file(location, name, _raise_exceptions_for_missing_entries=False)


def _weights(location: str) -> tuple[dict[str, str], int]:
    """Reads the type of each tensor, as `F32` or `torch.float32`, and the size of all files, from their headers."""
    from safetensors import safe_open
    from transformers.utils.hub import get_checkpoint_shard_files

    files: list[str] = []
    for name in ("model.safetensors", "pytorch_model.bin"):
        if file := _file(location, name):
            files = [file]
        elif index := _file(location, f"{name}.index.json"):
            files, _ = get_checkpoint_shard_files(location, index)  # type: ignore[no-untyped-call]
        if files:
            break
    else:
        raise ConfigError(f"the model {location!r} has no weights: neither model.safetensors nor pytorch_model.bin")
    types: dict[str, str] = {}
    for file in files:
        if file.endswith(".safetensors"):
            with safe_open(file, "pt") as header:
                types |= {name: header.get_slice(name).get_dtype() for name in header.keys()}  # noqa: SIM118
        else:
            tensors = torch.load(file, map_location="meta", mmap=True, weights_only=True)
            types |= {name: str(getattr(tensor, "dtype", "")) for name, tensor in tensors.items()}
    return types, sum(Path(file).stat().st_size for file in files)
