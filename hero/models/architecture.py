"""What a transformers model remembers of a sequence, by its configuration, and how it is handed its memory."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hero.errors import ConfigError


def cached_layers(model: Any) -> int:
    """How many layers have keys and values of their own; those behind them, if any, use those of others."""
    config = model.config.get_text_config()
    layers: int = config.num_hidden_layers
    return layers - (getattr(config, "num_kv_shared_layers", 0) or 0)


def context_length(model: Any) -> int:
    """The most tokens that the model can attend to and remember.

    That is less than what it attends to where it turns all keys otherwise in a longer sequence (longrope): then what it
    remembers of the first tokens is of no use to those beyond.

    Raises:
        ConfigError: its configuration does not say so.
    """
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return min([value, *_turning_points(config)])
    raise ConfigError(
        f"the configuration of {model.config.name_or_path!r} does not say how many tokens a {type(model).__name__} can "
        "attend to; set max_position_embeddings in its config.json"
    )


def attends_only(model: Any) -> bool:
    """Whether keys and values are all that is remembered, so that a memory can be cut off anywhere."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    attend = all("attention" in kind and "linear" not in kind for kind in kinds)
    return attend and not getattr(model, "_is_stateful", False)


def depends_on_length(model: Any) -> bool:
    """Whether keys are turned otherwise in a longer sequence than in a shorter one."""
    scalings = _scalings(model.config.get_text_config())
    return any(scaling.get("rope_type") in ("longrope", "dynamic") for scaling in scalings)


def _turning_points(config: Any) -> list[int]:
    """Lengths beyond which keys are turned otherwise; for `dynamic` scaling that is the length that it attends to."""
    found = [
        scaling.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
        for scaling in _scalings(config)
        if scaling.get("rope_type") == "longrope"
    ]
    return [length for length in found if length]


def _scalings(config: Any) -> list[Mapping[str, Any]]:
    """How positions are turned, by kinds of layers where these differ."""
    given = getattr(config, "rope_parameters", None) or {}
    return [given, *(scaling for scaling in given.values() if isinstance(scaling, Mapping))]


def cache_argument(model: Any) -> str:
    """The name of the argument of `forward` that takes a `Cache`.

    transformers 5.24 renamed `past_key_values` to `cache`, warns of the old name and drops it in 5.40. A wrapper that
    passes everything on is asked for the decoder that it wraps.
    """
    for module in (model, model.get_decoder()):
        names = inspect.signature(module.forward).parameters
        for name in ("cache", "past_key_values"):
            if name in names:
                return name
    return "past_key_values"
