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
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from hero.models.architecture import attends_only, context_length, depends_on_length
from hero.models.cache_layers import PrefixedLayer, cache_arguments, keys_and_values
from hero.models.sharded import is_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


WORTHWHILE: Final = 0.2
"""Least share of the tokens that has to be saved for common beginnings to be read once.

Attention under a mask, instead of a causal one, takes longer than what is saved below that.
"""


class PrefixCache:
    """Holds the keys and values of some sequences. A gradient flows through them unless they were read without one.

    Args:
        model: any causal language model of transformers that `can_share_prefix`.
        prefixes: ids of at least one sequence. What all of them begin with is read once, where that is `WORTHWHILE`,
            and then the rest of all in one forward pass.
    """

    def __init__(self, model: PreTrainedModel, prefixes: Sequence[tuple[int, ...]]) -> None:
        longest = max(map(len, prefixes))
        # Padded on the right, where no suffix looks.
        ids_PT = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in prefixes], device=model.device)
        self._model = model
        # The model's own cache layers would drop what is out of a sliding window.
        if common := _shared_columns(model, ids_PT):
            root = PrefixCache(model, [tuple(ids_PT[0, :common].tolist())])
            layers, inputs = root._continued([(0, common)] * len(prefixes), longest - common)
            self._layers = keys_and_values(model, ids_PT[:, common:], layers, **inputs)
        else:
            self._layers = keys_and_values(model, ids_PT)

    def continuation(self, starts: Sequence[tuple[int, int]], length: int) -> dict[str, Any]:
        """Returns the arguments of `forward`, besides their ids, with which a model reads suffixes.

        Args:
            starts: for each row, the index of its prefix and the number of ids that it shares with it, which must not
                be 0 for all rows.
            length: number of columns of the suffixes, padded on the right.
        """
        layers, inputs = self._continued(starts, length)
        return {**inputs, **cache_arguments(self._model, layers)}

    def _continued(self, starts: Sequence[tuple[int, int]], length: int) -> tuple[list[PrefixedLayer], dict[str, Any]]:
        """Returns the cache layers that `continuation` gives to `forward`, and the other arguments."""
        device = self._layers[0][0].device
        shared_B = torch.tensor([shared for _, shared in starts], device=device)
        width = int(shared_B.max())
        # Prefix and suffix adjoin, as a sliding window expects.
        seen_BC = torch.arange(width + length, device=device) >= width - shared_B[:, None]
        layers = [PrefixedLayer(layer, starts, width) for layer in self._layers]
        last_position = context_length(self._model) - 1
        return layers, {
            "attention_mask": seen_BC.long(),
            # The clamp keeps padding at positions that the model has.
            "position_ids": (shared_B[:, None] + torch.arange(length, device=device)).clamp(max=last_position),
        }


def can_share_prefix(model: PreTrainedModel) -> bool:
    """Returns whether the model remembers nothing but keys and values, which are the same whatever follows."""
    return attends_only(model) and not depends_on_length(model)


def _shared_columns(model: PreTrainedModel, ids_PT: Tensor) -> int:
    """Returns the number of columns to read once for all sequences; some are left to read for each."""
    if len(ids_PT) == 1 or is_sharded(model):  # of a sharded model all processes have to make equally many passes
        return 0
    count, width = ids_PT.shape
    alike_T = (ids_PT == ids_PT[:1]).all(0)
    common = min(int(alike_T.cumprod(0).sum()), width - 1)
    return common if (count - 1) * common >= WORTHWHILE * count * width else 0
