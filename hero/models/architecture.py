"""Properties of a transformers model: its layers, its context length, and the way to pass it a cache."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from hero.errors import ConfigError

KEYS_AND_VALUES: Final = frozenset({"full_attention", "attention", "sliding_attention", "chunked_attention"})
"""Kinds of layers that remember keys and values alone; others compress or index them, or keep a state."""


def cached_layers(model: Any) -> int:
    """Returns the number of layers with keys and values of their own; layers after those, if any, reuse them."""
    config = model.config.get_text_config()
    layers: int = config.num_hidden_layers
    return layers - (getattr(config, "num_kv_shared_layers", 0) or 0)


def context_length(model: Any) -> int:
    """Returns the maximum length of a sequence, prompt and reply together, in tokens.

    It is less than `max_positions` for a model with longrope, which rotates the keys of all tokens differently in a
    longer sequence: keys that were cached before that point would be wrong after it.

    Raises:
        ConfigError: the configuration does not state the number of positions.
    """
    return min([max_positions(model), *_longrope_lengths(model.config.get_text_config())])


def max_positions(model: Any) -> int:
    """Returns the number of positions that the configuration states.

    Raises:
        ConfigError: it does not state any.
    """
    config = model.config.get_text_config()
    for name in ("max_position_embeddings", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    raise ConfigError(
        f"the configuration of {model.config.name_or_path!r} does not state how many tokens a {type(model).__name__} "
        "can attend to; set max_position_embeddings in its config.json"
    )


def attends_only(model: Any) -> bool:
    """Returns whether the model remembers nothing but keys and values, so that its cache can be cut at any token.

    A class that transformers calls stateful may be built of attention alone, as some sizes of Granite 4 are.
    """
    kinds = getattr(model.config.get_text_config(), "layer_types", None)
    if kinds is None:
        return not getattr(model, "_is_stateful", False)
    return KEYS_AND_VALUES.issuperset(kinds)


def depends_on_length(model: Any) -> bool:
    """Returns whether rotary embeddings depend on the length of the sequence.

    If so, cached keys cannot be reused in a longer sequence.
    """
    return any(rotary.get("rope_type") in ("longrope", "dynamic") for rotary in _rotary(model.config.get_text_config()))


def cache_argument(model: Any) -> str:
    """Returns the name of the argument of `forward` that takes a `Cache`.

    transformers 5.24 renamed `past_key_values` to `cache`; it warns of the old name and drops it in 5.40. A wrapper's
    `forward` may name neither and pass everything on: then the decoder inside decides.
    """
    for module in (model, model.get_decoder()):
        names = inspect.signature(module.forward).parameters
        for name in ("cache", "past_key_values"):
            if name in names:
                return name
    return "past_key_values"


def _longrope_lengths(config: Any) -> list[int]:
    """Returns the lengths beyond which longrope rotates all keys differently.

    `dynamic` scaling has none below the number of positions: it changes only beyond that.
    """
    lengths = [
        rotary.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
        for rotary in _rotary(config)
        if rotary.get("rope_type") == "longrope"
    ]
    return [length for length in lengths if length]


def _rotary(config: Any) -> list[Mapping[str, Any]]:
    """Returns the parameters of the rotary embeddings, of the model or of each type of layer."""
    parameters = getattr(config, "rope_parameters", None) or {}
    return [parameters, *(of_type for of_type in parameters.values() if isinstance(of_type, Mapping))]
