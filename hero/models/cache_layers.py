"""Cache layers: each takes the new keys and values of one attention layer and returns all that it attends to.

Shapes: B batch, H key-value heads, T tokens of one sequence, C columns of the cache, L new columns, D head width,
P prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

from hero.models.architecture import cache_argument, cached_layers
from hero.models.sharded import is_sharded

KeysValues: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values of one layer."""


class CacheLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Base of the layers below: transformers' class, with types."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()  # type: ignore[no-untyped-call]

    def expose(self, keys: Tensor, values: Tensor) -> KeysValues:
        """Makes keys and values, BHCD, what transformers sees as the contents of this layer."""
        self.keys, self.values = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        return keys, values


def cache_arguments(model: Any, layers: Sequence[CacheLayer]) -> dict[str, Any]:
    """Returns the keyword arguments of `forward` that make a model use these cache layers."""
    return {cache_argument(model): Cache(layers=[*layers]), "use_cache": True}


class PreallocatedLayer(CacheLayer):
    """Has room for columns to come: appending a token copies that token, not the whole cache.

    Args:
        past: keys and values of each sequence, HTD; they end in the same column. Empty to begin without a past.
        capacity: number of columns in all.
    """

    def __init__(self, past: Sequence[KeysValues], capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = max((keys.shape[1] for keys, _ in past), default=0)
        if past:
            self._keys = _right_aligned([keys for keys, _ in past], self.length, capacity)
            self._values = _right_aligned([values for _, values in past], self.length, capacity)
            self._expose_used()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> KeysValues:
        """Appends columns; returns all keys and values so far, BHCD."""
        if not self.is_initialized:
            self._keys = key_states.new_empty(*key_states.shape[:2], self.capacity, key_states.shape[-1])
            self._values = value_states.new_empty(*value_states.shape[:2], self.capacity, value_states.shape[-1])
        start, self.length = self.length, self.length + key_states.shape[-2]
        self._keys[:, :, start : self.length] = key_states
        self._values[:, :, start : self.length] = value_states
        return self._expose_used()

    def select(self, rows: Tensor) -> None:
        """Keeps the sequences of these rows, and drops all others."""
        self._keys, self._values = self._keys[rows], self._values[rows]
        self._expose_used()

    def extract(self, row: int, columns: slice) -> KeysValues:
        """Returns keys and values of one sequence, HTD; they share the memory of this layer."""
        return self._keys[row, :, columns], self._values[row, :, columns]

    def _expose_used(self) -> KeysValues:
        return self.expose(self._keys[:, :, : self.length], self._values[:, :, : self.length])


class PrefixedLayer(CacheLayer):
    """Begins with parts of prefixes. The joined copies live no longer than the attention layer needs them.

    Args:
        prefixes: keys and values, PHTD.
        starts: of each row its prefix and the number of columns that it has of it, which end at column `width`.
        width: number of columns before the new ones; what is left of them before a row begins is 0.
    """

    def __init__(self, prefixes: KeysValues, starts: Sequence[tuple[int, int]], width: int) -> None:
        super().__init__()
        self._prefixes, self._starts, self._width = prefixes, starts, width
        self.dtype, self.device, self.is_initialized = prefixes[0].dtype, prefixes[0].device, True

    def get_seq_length(self) -> int:
        """Returns the number of columns before the new ones."""
        return self._width

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> KeysValues:
        """Returns keys and values of prefixes and new columns, BHCD, and keeps neither."""
        keys, values = self._prefixes
        return self._joined(keys, key_states), self._joined(values, value_states)

    def _joined(self, prefixes_PHTD: Tensor, new_BHLD: Tensor) -> Tensor:
        # Not by indices: their gradient is added up in any order where torch has several threads.
        parts = [
            pad(prefixes_PHTD[prefix, :, :shared], (0, 0, self._width - shared, 0)) for prefix, shared in self._starts
        ]
        return torch.cat([torch.stack(parts), new_BHLD], dim=2)


def keys_and_values(
    model: Any, ids_BT: Tensor, before: Sequence[PrefixedLayer] = (), **inputs: Any
) -> list[KeysValues]:
    """Reads sequences; returns the keys and values of each layer that has its own, BHCD, from the beginning on.

    The last of these layers ends the forward pass by an exception, because a model cannot be asked for keys and values
    alone: what comes after (attention and MLP of that layer, layers that reuse keys, logits) would be computed for
    nothing. This relies on each attention layer calling `update` of its cache layer before it attends, and on no model
    swallowing exceptions. A graph compiled as a whole cannot raise one, and of a sharded model all
    passes have to end, so there the pass runs to its end.

    Args:
        before: cache layers with what precedes the sequences; empty if nothing does.
        inputs: other arguments of `forward`, that go with these layers.
    """
    count = cached_layers(model)
    ends_early = not (torch.compiler.is_compiling() or is_sharded(model))
    layers = [
        _RecordingLayer(before[index] if before else None, last=ends_early and index == count - 1)
        for index in range(count)
    ]
    with suppress(_EndOfPass):
        model(input_ids=ids_BT, logits_to_keep=1, **inputs, **cache_arguments(model, layers))
    return [(layer.keys, layer.values) for layer in layers]


@torch.no_grad()
def kv_bytes_per_token(model: Any) -> int:
    """Returns the size of the keys and values of one token, in bytes; the model reads one to find out.

    A configuration does not tell: layers may differ, and keys need not be as wide as values.
    """
    cached = keys_and_values(model, torch.zeros(1, 1, dtype=torch.int64, device=model.device))
    return sum(keys.nbytes + values.nbytes for keys, values in cached)


class _EndOfPass(Exception):  # noqa: N818 (nothing went wrong)
    """Ends a forward pass once all its keys and values have been computed."""


class _RecordingLayer(CacheLayer):
    """Keeps keys and values as they are, with their gradient; the last layer ends the forward pass."""

    def __init__(self, before: PrefixedLayer | None, *, last: bool) -> None:
        super().__init__()
        self._before, self._last = before, last

    def get_seq_length(self) -> int:
        """Returns the number of columns before the new ones."""
        return self._before.get_seq_length() if self._before else 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> KeysValues:
        if self._before:
            key_states, value_states = self._before.update(key_states, value_states)
        self.expose(key_states, value_states)
        if self._last:
            raise _EndOfPass
        return key_states, value_states


def _right_aligned(rows: Sequence[Tensor], width: int, capacity: int) -> Tensor:
    """Joins HTD tensors into one BHCD tensor: each ends at column `width`, after zeros; the rest is left empty."""
    heads, _, size = rows[0].shape
    batch = rows[0].new_empty(len(rows), heads, capacity, size)
    for target, row in zip(batch, rows, strict=True):
        target[:, : width - row.shape[1]] = 0  # a weight of 0 times what was in memory could be NaN
        target[:, width - row.shape[1] : width] = row
    return batch
