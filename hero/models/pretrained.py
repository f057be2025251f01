"""Models and tokenizers in the format of transformers, from a directory or the hub; nothing that they bring is run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from hero.errors import ConfigError, short_message, translate_errors
from hero.models.check import require_fit, require_plausible, require_real
from hero.models.tokens import largest_id, without_additions


def load_pretrained(source: str, path: Path) -> tuple[Any, Any]:
    """The model, in bfloat16 where there is a GPU and else in float32, and the tokenizer of a directory or hub name.

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
        raise ConfigError(f"{source!r} holds no model: it has no config.json")
    with translate_errors(
        ConfigError,
        f"the model {source!r} cannot be loaded; fetch it again, or take a causal language model that the installed "
        "transformers knows",
    ):
        try:
            return _load(source, str(path) if path.is_dir() else source)
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


def _load(source: str, where: str) -> tuple[Any, Any]:
    from tokenizers import Tokenizer
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    config: Any = AutoConfig.from_pretrained(where, trust_remote_code=False)
    # The library chooses what it has for this kind. A file may name a kernel on the hub, which would be fetched and
    # run, or an attention that knows neither our masks nor our caches.
    config._attn_implementation = None
    tokenizer: Any = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    kinds, size = _weights(where)
    require_plausible(
        repr(source),
        config,
        lambda: AutoModelForCausalLM.from_config(copy.deepcopy(config), trust_remote_code=False),  # type: ignore[no-untyped-call]
        tensors=len(kinds),
        room=8 * size if (quantized := getattr(config, "quantization_config", None)) else size,
    )
    if not quantized:
        require_real(repr(source), kinds)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        where,
        config=config,
        # Left to itself, transformers 4 would run custom_generate/generate.py of a directory.
        generation_config=GenerationConfig.from_pretrained(where)
        if _file(where, "generation_config.json")
        else GenerationConfig.from_model_config(config),
        dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # they are reported by name instead
        output_loading_info=True,
    )
    model, info = loaded
    require_fit(repr(source), info)
    file = _file(where, "tokenizer.json")
    return model, without_additions(tokenizer, 1 + largest_id(Tokenizer.from_file(file)), model) if file else tokenizer


def _file(where: str, name: str) -> str | None:
    """The place of a file of a directory or hub name, if there is one."""
    from transformers.utils.hub import cached_file

    return cached_file(where, name, _raise_exceptions_for_missing_entries=False)


def _weights(where: str) -> tuple[dict[str, str], int]:
    """The type of each tensor of a directory or hub name, as `F32` or `torch.float32`, and all bytes, from headers."""
    from safetensors import safe_open
    from transformers.utils.hub import get_checkpoint_shard_files

    files: list[str] = []
    for name in ("model.safetensors", "pytorch_model.bin"):
        if file := _file(where, name):
            files = [file]
        elif index := _file(where, f"{name}.index.json"):
            files, _ = get_checkpoint_shard_files(where, index)  # type: ignore[no-untyped-call]
        if files:
            break
    else:
        raise ConfigError(f"the model {where!r} has no weights: neither model.safetensors nor pytorch_model.bin")
    kinds: dict[str, str] = {}
    for file in files:
        if file.endswith(".safetensors"):
            with safe_open(file, "pt") as opened:
                kinds |= {name: opened.get_slice(name).get_dtype() for name in opened.keys()}  # noqa: SIM118
        else:
            held = torch.load(file, map_location="meta", mmap=True, weights_only=True)
            kinds |= {name: str(getattr(tensor, "dtype", "")) for name, tensor in held.items()}
    return kinds, sum(Path(file).stat().st_size for file in files)
