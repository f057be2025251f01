"""Beginnings that many rows share, read by a model once and continued as often as wanted.

A teacher scores each turn of an episode under a privileged text of its own. What comes before that text is the episode
itself, which a causal model reads alike every time: the trunk. Its keys and values are kept, and what is left of a row,
the branch, attends to those and to itself, at the positions at which it would have stood. Models see nothing but what
they see when they generate from a cache in a batch padded on the left, so all of them can do it, and nothing is spent
on pairs of tokens that do not see each other, as a mask over all branches side by side would.

Shapes: B rows, T prefixes, H key-value heads, C columns of the past, L columns of the branches, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from hero.models.architecture import attends_only, cache_argument, cached_layers, context_length, depends_on_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from hero.distill.pack import Row


class PrefixCache:
    """What a model remembers of some sequences. A gradient flows through it unless it was read without one.

    Args:
        model: any causal language model of transformers that `can_share_prefix`.
        ids: the sequences; they go through the model in one forward pass.
    """

    def __init__(self, model: PreTrainedModel, ids: Sequence[tuple[int, ...]]) -> None:
        longest = max(map(len, ids))
        # Padded on the right, where no branch looks.
        ids_TC = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids], device=model.device)
        # Layers that keep everything: the model's own would drop what is out of a sliding window.
        count = cached_layers(model)
        layers: list[Any] = [_Kept(last=number == count - 1) for number in range(count)]
        self._argument = cache_argument(model)
        self._last_position = context_length(model) - 1
        with suppress(_AllKept):
            model(input_ids=ids_TC, use_cache=True, logits_to_keep=1, **{self._argument: Cache(layers=layers)})
        self._layers = [(layer.keys, layer.values) for layer in layers]

    def continued(self, rows: Sequence[Row], length: int) -> dict[str, Any]:
        """What a model needs besides the ids of branches, padded on the right to a length, to read them after prefixes.

        Args:
            rows: each with its `trunk` and how many of the trunk's first ids it has `shared`; not 0 for all of them.
        """
        device = self._layers[0][0].device
        trunk_B, shared_B = (torch.tensor(numbers, device=device) for numbers in zip(*_places(rows), strict=True))
        width = int(shared_B.max())
        # Past and branch adjoin, as a sliding window expects. Column 0 stands in to the left, where nothing is seen,
        # and to the right, where the branch will be.
        columns_BC = torch.arange(width + length, device=device) - (width - shared_B[:, None])
        seen_BC = columns_BC >= 0
        columns_BC = columns_BC.where(seen_BC & (columns_BC < shared_B[:, None]), 0)
        layers = [_Continued(past, trunk_B[:, None], columns_BC, width) for past in self._layers]
        return {
            self._argument: Cache(layers=[*layers]),
            "attention_mask": seen_BC.long(),
            # Padding stands nowhere that the model does not know.
            "position_ids": (shared_B[:, None] + torch.arange(length, device=device)).clamp(max=self._last_position),
            "use_cache": True,
        }


def can_share_prefix(model: PreTrainedModel) -> bool:
    """Whether all that a model remembers of a sequence are keys and values, alike whatever follows."""
    return attends_only(model) and not depends_on_length(model)


def _places(rows: Sequence[Row]) -> list[tuple[int, int]]:
    return [(row.prefix if row.shared else 0, row.shared) for row in rows]


class _AllKept(Exception):  # noqa: N818 (nothing went wrong)
    """What is left of a forward pass makes nothing that branches see."""


class _Kept(DynamicLayer):  # type: ignore[no-untyped-call]
    """A cache layer that keeps what it is given, as it is, and if it is the last ends the forward pass there."""

    def __init__(self, *, last: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._last = last

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values, BHCD."""
        self.keys, self.values = key_states, value_states
        if self._last and not torch.compiler.is_compiling():  # whole graphs have no exceptions
            raise _AllKept
        return key_states, value_states


class _Continued(DynamicLayer):  # type: ignore[no-untyped-call]
    """A cache layer that begins with parts of prefixes; their copies live no longer than a layer needs them.

    Args:
        past: keys and values, THCD.
        trunk_B1: of each row.
        columns_BC: of the trunk, in the order in which the row sees them, with room for the branch behind them.
        width: how many of the columns are of the past.
    """

    def __init__(self, past: tuple[Tensor, Tensor], trunk_B1: Tensor, columns_BC: Tensor, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._past, self._trunk_B1, self._columns_BC, self._width = past, trunk_B1, columns_BC, width
        self.dtype, self.device, self.is_initialized = past[0].dtype, past[0].device, True

    def get_seq_length(self) -> int:
        return self._width

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of past and branch, BHCD, without keeping them."""
        keys, values = self._past
        return self._after(keys, key_states), self._after(values, value_states)

    def _after(self, past_THCD: Tensor, new_BHLD: Tensor) -> Tensor:
        joined_BHCD = past_THCD.transpose(1, 2)[self._trunk_B1, self._columns_BC].transpose(1, 2)
        joined_BHCD[:, :, self._width :] = new_BHLD
        return joined_BHCD
