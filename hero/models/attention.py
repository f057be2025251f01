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

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME: Final = "hero_sdpa"


def repeat_key_heads(model: PreTrainedModel) -> None:
    """Has a model in float32 attend to keys and values that are repeated for every head of queries.

    The result is the same, up to rounding. A model that attends in another way than transformers' `sdpa` is left as it
    is.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.config._attn_implementation == "sdpa" and model.dtype == torch.float32:
        AttentionInterface.register(NAME, _attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def _attend(
    module: nn.Module, query_BHLD: Tensor, key_BKCD: Tensor, value_BKCD: Tensor, *arguments: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attends as transformers' `sdpa` does. Shapes: H heads of queries, K of keys, L queries, C keys, D head width."""
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    groups = query_BHLD.shape[1] // key_BKCD.shape[1]
    key_BHCD, value_BHCD = repeat_kv(key_BKCD, groups), repeat_kv(value_BKCD, groups)
    ungrouped: Any = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
    return sdpa_attention_forward(ungrouped, query_BHLD, key_BHCD, value_BHCD, *arguments, **options)
