"""Attention in float32 on a GPU, in memory that grows with the length of a sequence instead of its square.

Where several heads of queries share one of keys, transformers leaves that to PyTorch, whose kernels for it on a GPU
read half precision. In float32 PyTorch computes the weights of all pairs of tokens instead, and keeps them for the
gradient. Its kernel that spares them reads float32 too, but wants as many heads of keys as of queries.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from hero.models.architecture import attends_only

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: Final = "hero_sdpa"


def repeat_key_heads(model: PreTrainedModel) -> None:
    """Has a model in float32 on a GPU attend to keys and values that are repeated for every head of queries.

    The result is the same, up to rounding. A model that attends in another way than transformers' `sdpa` is left as it
    is.
    """
    if not _is_concerned(model):
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _is_concerned(model: PreTrainedModel) -> bool:
    """Returns whether the keys of a model are to be repeated; one with an indexer asks whether its name is `sdpa`."""
    on_gpu = model.device.type == "cuda" and model.dtype == torch.float32
    return on_gpu and model.config._attn_implementation == "sdpa" and attends_only(model)


def _attend(
    module: nn.Module,
    query_BHLD: Tensor,
    key_BKCD: Tensor,
    value_BKCD: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attends as transformers' `sdpa` does. Shapes: H heads of queries, K of keys, L queries, C keys, D head width."""
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    attending: Any = module
    if attention_mask is None:  # under a mask transformers shares no heads
        groups = query_BHLD.shape[1] // key_BKCD.shape[1]
        key_BKCD, value_BKCD = repeat_kv(key_BKCD, groups), repeat_kv(value_BKCD, groups)
        attending = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    return sdpa_attention_forward(attending, query_BHLD, key_BKCD, value_BKCD, attention_mask, **options)
