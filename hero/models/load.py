"""Load a language model that runs in this process, whatever the format of its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from hero.chat.template import TemplateChat
from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError, short_message
from hero.models import tiny
from hero.models.architecture import attends_only, max_positions
from hero.models.attention import repeat_key_heads
from hero.models.check import require_exact, require_usable
from hero.models.gguf import load_gguf
from hero.models.language_model import LanguageModel
from hero.models.pretrained import load_pretrained
from hero.models.source import local_path
from hero.models.tokens import largest_id
from hero.types import JSON

Dtype: TypeAlias = Literal["float32", "bfloat16", "float16"]


def load(
    source: str,
    *,
    template_args: Mapping[str, JSON] | None = None,
    date: str | None = None,
    device: str | None = None,
    dtype: Dtype | None = None,
) -> LanguageModel:
    """Loads a model from a directory, a hub name or a GGUF file.

    It is checked: its weights are finite and those
    that its configuration asks for, its tokenizer makes no ids that it does not embed, and it gives the same
    log-probabilities in a batch as alone. No code that comes with a model is run.

    Args:
        template_args: variables of its chat template, such as `enable_thinking`.
        device: such as `cuda:1` or `cpu`; None for a GPU where there is one.
        dtype: precision of the weights; None for bfloat16 on a GPU and float32 elsewhere.
        date: today, as `2026-11-26`, for templates that write it; the models of this package do not.

    Raises:
        ConfigError: nothing can be found under `source`, it cannot be loaded or used, it remembers more than keys and
            values, it has no chat template, or none that reads the `template_args`; or there is no such device.
        DataError: a model in the format of this package is damaged.
    """
    path = local_path(source) or Path(source)
    place, kind = placement(device, dtype)
    if path.suffix == ".gguf":
        model, tokenizer = load_gguf(path)
    elif (path / TiktokenChat.FILE).is_file():
        if template_args:
            raise ConfigError(f"{', '.join(template_args)}: the model {source!r} has no chat template to read them")
        lm = tiny.load(path)
        if device or dtype:
            lm.model.to(device=place, dtype=kind)
        return lm
    else:
        model, tokenizer = load_pretrained(source, path, kind)
    if not attends_only(model):
        raise ConfigError(
            f"the model {source!r} ({type(model).__name__}) remembers more than keys and values, so that it cannot go "
            "back to an earlier turn; take one all of whose layers attend"
        )
    model = model.to(device=place, dtype=kind).eval()
    repeat_key_heads(model)
    require_usable(repr(source), model, 1 + largest_id(tokenizer))
    lm = LanguageModel(model, TemplateChat(tokenizer, _stop_ids(model), template_args, date), path.name)
    require_exact(lm)
    if lm.context_length < (positions := max_positions(model)):
        logging.getLogger(__name__).warning(
            "%s attends to %d tokens, of which %d are used: in a longer sequence it rotates the keys of all tokens "
            "differently, so that no cached keys could be reused",
            *(lm.name, positions, lm.context_length),
        )
    return lm


def placement(device: str | None, dtype: Dtype | None) -> tuple[torch.device, torch.dtype]:
    """Returns the device and the precision of a model; `load` says what None stands for.

    Raises:
        ConfigError: there is no such device here.
    """
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"there is no device {device!r} here: {short_message(error)}") from error
    kind = getattr(torch, dtype) if dtype else torch.bfloat16 if place.type == "cuda" else torch.float32
    if place.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, where float32 is used at all
    return place, kind


def _stop_ids(model: Any) -> list[int]:
    """Returns the ids that end a reply according to the generation settings of a model."""
    eos = getattr(model.generation_config, "eos_token_id", None)
    ids = [] if eos is None else eos if isinstance(eos, list) else [eos]
    if odd := [token for token in ids if not isinstance(token, int)]:
        raise ConfigError(f"generation_config.json: eos_token_id {odd[0]!r} is not a token id")
    return ids
