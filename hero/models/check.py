"""Checks that a model matches its files and can act as the sampler needs, made before anything is played."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from hero.errors import ConfigError, translate_errors
from hero.models.head import decode, head_logits
from hero.models.kv_cache import CachedPrefix, prefill
from hero.models.language_model import LanguageModel
from hero.types import Message

RECOMPUTED: Final = re.compile(r"(inv_freq|masked_bias|attention\.bias|attn\.bias|position_ids)$")
"""Names of buffers in old checkpoints: the model computes them itself when it is built."""
REAL: Final = re.compile(r"^B?F\d|float")
"""Types of floating-point numbers, as safetensors and torch write them."""
QUESTION: Final = Message("user", "What is the capital of France? Answer in one word, then say why.")
TOLERANCE: Final = {torch.float32: 0.01}
HALF_TOLERANCE: Final = 0.25
"""Maximum differences of log-probabilities by rounding, in their standard deviations: single and half precision.

Wrong positions or masks cause differences of 1 and more.
"""


def require_plausible(name: str, config: Any, build: Callable[[], Any], *, tensors: int, max_parameters: int) -> None:
    """Compares the model of a configuration with the size of the weights, before any memory is allocated.

    Args:
        build: builds the model of the configuration; called where nothing is allocated.
        tensors: number of weight tensors; a model has no more layers.
        max_parameters: maximum number of parameters that files of that size can hold.

    Raises:
        ConfigError: the weights cannot be those of such a model.
    """
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0)
    if layers > tensors:
        raise ConfigError(
            f"{name}: the configuration asks for {layers} layers, but the weights are {tensors} tensors; fetch it again"
        )
    try:
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in build().parameters())
    except NotImplementedError:  # a few kinds of models compute something while they are built
        return
    if parameters > max_parameters:
        raise ConfigError(
            f"{name}: the configuration describes {parameters:,} parameters, but the weights hold at most "
            f"{max_parameters:,}; fetch it again"
        )


def require_fit(name: str, info: Mapping[str, Iterable[Any]]) -> None:
    """Requires that a model and its checkpoint have the same weights.

    Args:
        info: `missing_keys`, `unexpected_keys` and `mismatched_keys`, as transformers reports them.

    Raises:
        ConfigError: some weights of the model would be random, or some of the checkpoint would be lost.
    """
    keys_by_fault = {
        "missing": info["missing_keys"],
        "of another shape": [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]],
        "unexpected": [key for key in info["unexpected_keys"] if not RECOMPUTED.search(key)],
    }
    if faults := [f"{fault} {_some(sorted(keys))}" for fault, keys in keys_by_fault.items() if keys]:
        raise ConfigError(
            f"{name}: the weights are not those of the configuration: {'; '.join(faults)}. "
            "Fetch the model again, or save it again: with save_pretrained, and unwrapped from torch.compile and "
            "data parallelism, which put _orig_mod and module before each name"
        )


def require_real(name: str, types: Mapping[str, str]) -> None:
    """Requires floating-point weights; integers would be those of a quantised model, without their scales.

    Args:
        types: type of each tensor by name, as safetensors or torch writes it.

    Raises:
        ConfigError: tensors are of another type; the message names them.
    """
    if odd := [key for key, type_ in types.items() if not REAL.search(type_) and not RECOMPUTED.search(key)]:
        raise ConfigError(
            f"{name}: weights of the type {types[odd[0]]} in {_some(odd)}, and no quantization_config says what they "
            "stand for; take the model in floating point"
        )


def require_usable(name: str, model: Any, vocabulary: int) -> None:
    """Requires finite weights and an embedding for every token.

    Args:
        vocabulary: the largest id that the tokenizer can make, plus 1.

    Raises:
        ConfigError: weights are not finite, or the tokenizer makes ids without an embedding.
    """
    if odd := [key for key, weights in model.named_parameters() if not weights.isfinite().all()]:
        raise ConfigError(f"{name}: weights that are not finite in {_some(odd)}; fetch the model again")
    embedded = model.get_input_embeddings().weight.shape[0]
    if vocabulary > embedded:
        raise ConfigError(
            f"{name}: the tokenizer makes ids up to {vocabulary - 1}, but the model embeds {embedded} tokens; take the "
            "tokenizer that the model was trained with, or resize_token_embeddings"
        )


@torch.inference_mode()
def require_exact(lm: LanguageModel) -> None:
    """Requires the same log-probabilities in a batch, from a cache and from decoder and head as in a plain pass.

    Some kinds of models ignore the positions or the mask that they are given, or arrange their cache in their own way.
    Some compute logits from more than the decoder's states, from which actions are scored.

    Raises:
        ConfigError: the log-probabilities differ, or the model cannot be run in this way.
    """
    ids = tuple(lm.chat.encode([QUESTION]))[: lm.context_length]
    kind = f"{lm.name}: a model of the kind {type(lm.model).__name__}"
    with translate_errors(ConfigError, f"{kind} cannot act here"):
        starts = [ids[: max(1, len(ids) // 2)], ids[: max(1, len(ids) // 4)]]
        batch, start_logits = prefill(lm.model, [CachedPrefix(), CachedPrefix()], starts, 0)
        past = [batch.extract(row, start) for row, start in enumerate(starts)]
        end_logits = prefill(lm.model, past, [ids, ids], 0)[1] if len(ids) > 1 else start_logits
        ids_1L = torch.tensor([ids], device=lm.model.device)
        alone = lm.model(input_ids=ids_1L).logits[0]
        scored = head_logits(lm.model, decode(lm.model, input_ids=ids_1L, use_cache=False)[0])
        expected = _logprobs(alone[[len(start) - 1 for start in starts] + [-1, -1]])
        batched = _logprobs(torch.cat([start_logits, end_logits]))
        if expected.isnan().any() or batched.isnan().any():
            raise ConfigError(f"{kind} gives log-probabilities that are not finite; fetch it again")
        most = TOLERANCE.get(lm.model.dtype, HALF_TOLERANCE)
    if not (error := _error(_logprobs(scored), _logprobs(alone))) <= most:
        raise ConfigError(
            f"{kind} computes its logits from more than the states of its decoder ({error:.2g} standard deviations), "
            "so that its actions cannot be scored; take another kind"
        )
    if not (error := _error(batched, expected)) <= most:
        raise ConfigError(
            f"{kind} gives other log-probabilities in a batch than alone ({error:.2g} standard deviations): it ignores "
            "positions, mask or choice of logits that it is given; take another kind, or a newer transformers"
        )


def _error(logprobs: Tensor, expected: Tensor) -> float:
    """Returns the largest mean difference of a row of log-probabilities, in their standard deviations."""
    return ((logprobs - expected).abs().mean(-1) / (expected.std(-1) + 1e-3)).max().item()


def _logprobs(logits: Tensor) -> Tensor:
    """Returns log-probabilities that are finite also where a model rules tokens out with logits of -inf."""
    return logits.float().log_softmax(-1).clamp(min=-100.0)


def _some(names: list[str]) -> str:
    """Returns the first three names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
