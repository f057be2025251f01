"""Prefixes that many rows share: a model reads each once, and the rest of every row continues from it.

A teacher scores each turn of an episode under a privileged text of its own. What precedes that text is the episode
itself, which a causal model reads alike every time: the shared prefix. Its keys and values are kept; the rest of a
row, its suffix, attends to those and to itself, at the positions at which it would have stood. A model sees what it
also sees when it generates from a cache in a batch padded on the left, so every attention model can do this. A mask
over all suffixes side by side would compute every pair of tokens, also those that do not see each other.

Shapes: B rows, P prefixes, T their padded length, C columns of a row's prefix and suffix, L columns of the suffixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from hero.models.architecture import attends_only, context_length, depends_on_length
from hero.models.cache_layers import PrefixedLayer, cache_arguments, keys_and_values

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class PrefixCache:
    """Holds the keys and values of some sequences. A gradient flows through them unless they were read without one.

    Args:
        model: any causal language model of transformers that `can_share_prefix`.
        prefixes: ids of at least one sequence; all go through the model in one forward pass.
    """

    def __init__(self, model: PreTrainedModel, prefixes: Sequence[tuple[int, ...]]) -> None:
        longest = max(map(len, prefixes))
        # Padded on the right, where no suffix looks.
        ids_PT = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prefixes], device=model.device)
        self._model = model
        # The model's own cache layers would drop what is out of a sliding window.
        self._layers = keys_and_values(model, ids_PT)

    def continuation(self, starts: Sequence[tuple[int, int]], length: int) -> dict[str, Any]:
        """Returns the arguments of `forward`, besides their ids, with which a model reads suffixes.

        Args:
            starts: for each row, the index of its prefix and the number of ids that it shares with it, which must not
                be 0 for all rows.
            length: number of columns of the suffixes, padded on the right.
        """
        device = self._layers[0][0].device
        prefix_B, shared_B = torch.tensor(starts, device=device).T
        width = int(shared_B.max())
        # Prefix and suffix adjoin, as a sliding window expects. Column 0 stands in to the left, where nothing is seen,
        # and to the right, where the suffix will be.
        columns_BC = torch.arange(width + length, device=device) - (width - shared_B[:, None])
        seen_BC = columns_BC >= 0
        columns_BC = columns_BC.where(seen_BC & (columns_BC < shared_B[:, None]), 0)
        layers = [PrefixedLayer(layer, prefix_B[:, None], columns_BC, width) for layer in self._layers]
        last_position = context_length(self._model) - 1
        return {
            **cache_arguments(self._model, layers),
            "attention_mask": seen_BC.long(),
            # The clamp keeps padding at positions that the model has.
            "position_ids": (shared_B[:, None] + torch.arange(length, device=device)).clamp(max=last_position),
        }


def can_share_prefix(model: PreTrainedModel) -> bool:
    """Returns whether the model remembers nothing but keys and values, which are the same whatever follows."""
    return attends_only(model) and not depends_on_length(model)
