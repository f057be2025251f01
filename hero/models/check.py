"""Whether a model is what its files say and can act as the sampler needs it, found out before anything is played."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from hero.errors import ConfigError, translate_errors
from hero.models.architecture import context_length
from hero.types import Message

if TYPE_CHECKING:
    from hero.models.language_model import LanguageModel

UNREAD: Final = re.compile(r"(inv_freq|masked_bias|attention\.bias|attn\.bias|position_ids)$")
"""Buffers in checkpoints of old: whoever builds the model computes them anew."""
REAL: Final = re.compile(r"^B?F\d|float")
"""Types of floating-point numbers, by the names of safetensors and of torch."""
PROBE: Final = Message("user", "What is the capital of France? Answer in one word, then say why.")
TOLERANCE: Final = {torch.float32: 0.01}
ROUNDED: Final = 0.25
"""Differences of log-probabilities, in their standard deviations: what rounding may do, in single and half precision.

Wrong positions or masks make them 1 and more.
"""


def require_plausible(name: str, config: Any, build: Callable[[], Any], *, tensors: int, room: int) -> None:
    """Compares what a configuration asks for with the size of the weights, before any of it is allocated.

    Args:
        build: builds the model of the configuration; called where nothing is allocated.
        tensors: how many the weights are: a model has no more layers.
        room: the most parameters that files of that size can hold.

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
    except NotImplementedError:  # a few kinds compute something while they are built
        return
    if parameters > room:
        raise ConfigError(
            f"{name}: the configuration describes {parameters:,} parameters, but the weights hold at most {room:,}; "
            "fetch it again"
        )


def require_fit(name: str, info: Mapping[str, Iterable[Any]]) -> None:
    """Refuses a model that is not all of its checkpoint, or not only that.

    Args:
        info: `missing_keys`, `unexpected_keys` and `mismatched_keys`, as transformers reports them.

    Raises:
        ConfigError: some weights would be random, or some of the file's would be lost.
    """
    faults = {
        "missing": info["missing_keys"],
        "of another shape": [key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]],
        "unexpected": [key for key in info["unexpected_keys"] if not UNREAD.search(key)],
    }
    if found := [f"{fault} {_some(sorted(keys))}" for fault, keys in faults.items() if keys]:
        raise ConfigError(
            f"{name}: the weights are not those of the configuration: {'; '.join(found)}. "
            "Fetch the model again, or save it anew: with save_pretrained, and unwrapped from torch.compile and "
            "data parallelism, which put _orig_mod and module before each name"
        )


def require_real(name: str, kinds: Mapping[str, str]) -> None:
    """Refuses whole and complex numbers in place of weights: those of a quantised model, without what they stand for.

    Args:
        kinds: the type of each tensor by name, as safetensors or torch writes it.

    Raises:
        ConfigError: names them.
    """
    if odd := [key for key, kind in kinds.items() if not REAL.search(kind) and not UNREAD.search(key)]:
        raise ConfigError(
            f"{name}: weights of the type {kinds[odd[0]]} in {_some(odd)}, and no quantization_config says what they "
            "stand for; take the model in floating point"
        )


def require_usable(name: str, model: Any, vocabulary: int) -> None:
    """Refuses weights that are not finite, and a vocabulary that has more tokens than the model.

    Args:
        vocabulary: one more than the largest id that the tokenizer makes.

    Raises:
        ConfigError: names the parameters, or both numbers.
    """
    if odd := [key for key, weights in model.named_parameters() if not weights.isfinite().all()]:
        raise ConfigError(f"{name}: weights that are not finite in {_some(odd)}; fetch the model again")
    rows = model.get_input_embeddings().weight.shape[0]
    if vocabulary > rows:
        raise ConfigError(
            f"{name}: the tokenizer makes ids up to {vocabulary - 1}, but the model embeds {rows} tokens; take the "
            "tokenizer that the model was trained with, or resize_token_embeddings"
        )


@torch.inference_mode()
def require_exact(lm: LanguageModel) -> None:
    """Refuses a model that cannot act, or thinks otherwise in a batch and from a cache than alone.

    Some kinds ignore the positions or the mask that they are given, or compute their cache in a way of their own.

    Raises:
        ConfigError: names the kind of model.
    """
    from hero.models.kv_cache import Sequenced, prefill

    ids = tuple(lm.chat.encode([PROBE]))[: context_length(lm.model)]
    kind = f"{lm.name}: a model of the kind {type(lm.model).__name__}"
    with translate_errors(ConfigError, f"{kind} cannot act here"):
        starts = [ids[: max(1, len(ids) // 2)], ids[: max(1, len(ids) // 4)]]
        batch, first = prefill(lm.model, [Sequenced(), Sequenced()], starts, 0)
        past = [batch.take(number, start) for number, start in enumerate(starts)]
        _, then = prefill(lm.model, past, [ids, ids], 0) if len(ids) > 1 else (None, first)
        alone = lm.model(input_ids=torch.tensor([ids], device=lm.model.device)).logits[0]
        expected = _logprobs(alone[[len(start) - 1 for start in starts] + [-1, -1]])
        found = _logprobs(torch.cat([first, then]))
        if expected.isnan().any() or found.isnan().any():
            raise ConfigError(f"{kind} gives log-probabilities that are not finite; fetch it again")
        error = ((found - expected).abs().mean(-1) / (expected.std(-1) + 1e-3)).max().item()
    if not error <= TOLERANCE.get(lm.model.dtype, ROUNDED):
        raise ConfigError(
            f"{kind} gives other log-probabilities in a batch than alone ({error:.2g} standard deviations): it ignores "
            "positions, mask or choice of logits that it is given; take another kind, or a newer transformers"
        )


def _logprobs(logits: Tensor) -> Tensor:
    """Log-probabilities; a model may rule tokens out, with logits of minus infinity."""
    return logits.float().log_softmax(-1).clamp(min=-100.0)


def _some(keys: list[str]) -> str:
    """A few of many names."""
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
