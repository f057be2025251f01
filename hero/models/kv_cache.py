"""Keys and values by sequence: taken out of a batch, stored, and joined into the next batch.

Shapes: B batch, H key-value heads, T tokens of one sequence, L new columns, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from hero.models.architecture import cached_layers, context_length
from hero.models.cache_layers import KeysValues, PreallocatedLayer, cache_arguments

PREFILL_TOKENS: Final = 8192
"""Maximum number of padded tokens in one forward pass over prompts: bounds the memory for activations."""


@dataclass(slots=True)
class CachedPrefix:
    """A token sequence with its keys and values, from which longer sequences can continue.

    Attributes:
        ids: the tokens whose keys and values these are.
        layers: keys and values of each layer, both HTD with T = len(ids); empty if `ids` is.
    """

    ids: tuple[int, ...] = ()
    layers: list[KeysValues] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Size of the keys and values, without memory around them that they may share."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def truncated(self, length: int) -> CachedPrefix:
        """Returns the first tokens of this prefix; shares its memory."""
        return CachedPrefix(self.ids[:length], [(keys[:, :length], values[:, :length]) for keys, values in self.layers])


class PrefixStore:
    """Keeps copies of prefixes in memory of their own, up to a number of bytes in all."""

    def __init__(self, max_bytes: int) -> None:
        self.prefixes: list[CachedPrefix] = []
        self._bytes_left = max_bytes

    def add(self, prefix: CachedPrefix) -> None:
        """Keeps a copy, if there is room for it."""
        if prefix.nbytes <= self._bytes_left:
            self._bytes_left -= prefix.nbytes
            copies = [(keys.clone(), values.clone()) for keys, values in prefix.layers]
            self.prefixes.append(CachedPrefix(prefix.ids, copies))


def longest_prefix(prefixes: Iterable[CachedPrefix], prompt: tuple[int, ...]) -> CachedPrefix:
    """Returns the longest of the prefixes that the prompt begins with and extends; an empty one if there is none."""
    longest = CachedPrefix()
    for prefix in prefixes:
        length = len(prefix.ids)
        if len(longest.ids) < length < len(prompt) and prompt[:length] == prefix.ids:
            longest = prefix
    return longest


class Batch:
    """Sequences side by side that end in the same column, so that one forward pass extends them all.

    Only its column decides whether a token belongs to a sequence or pads it, never its id: any id may be sampled.

    Args:
        past: one prefix per sequence; either all are empty or none is.
        room: number of columns that will be added.
        padding: number of columns, among the first to be added, before each sequence begins; above 0 only where its
            prefix is empty. Without it no sequence is padded.
    """

    def __init__(self, model: Any, past: Sequence[CachedPrefix], room: int, padding: Sequence[int] = ()) -> None:
        self.model = model
        self.width = max(len(prefix.ids) for prefix in past)
        padding = padding or [0] * len(past)
        self.lengths = [len(prefix.ids) - pad for prefix, pad in zip(past, padding, strict=True)]
        self.capacity = self.width + room
        count = cached_layers(model)
        by_layer = ([prefix.layers[index] for prefix in past] if self.width else [] for index in range(count))
        self.layers = [PreallocatedLayer(of_layer, self.capacity) for of_layer in by_layer]
        self._cache = cache_arguments(model, self.layers)
        columns = torch.arange(self.capacity)
        self._mask = (columns >= self.width - torch.tensor(self.lengths)[:, None]).long().to(model.device)
        self._positions = torch.tensor(self.lengths, device=model.device)
        self._last_position = context_length(model) - 1

    def forward(self, ids_BL: Tensor) -> Tensor:
        """Reads more tokens of each sequence; returns the logits after the last, BV."""
        start, count = self.layers[0].length, ids_BL.shape[1]
        offsets = torch.arange(start - self.width, start - self.width + count, device=ids_BL.device)
        logits: Tensor = self.model(
            input_ids=ids_BL,
            attention_mask=self._mask[:, : start + count],
            # The clamp keeps padding, and what follows the end of a sequence, at positions that the model has.
            position_ids=(self._positions[:, None] + offsets).clamp(0, self._last_position),
            logits_to_keep=1,
            **self._cache,
        ).logits
        return logits[:, -1]

    def select(self, rows: Sequence[int]) -> None:
        """Keeps the sequences of these rows, and drops all others."""
        index = torch.tensor(rows, device=self._mask.device)
        self.lengths = [self.lengths[row] for row in rows]
        self._mask, self._positions = self._mask[index], self._positions[index]
        for layer in self.layers:
            layer.select(index)

    def extract(self, row: int, ids: tuple[int, ...]) -> CachedPrefix:
        """Returns one sequence by itself.

        It shares the memory of the batch, all of which lives as long as the result does.

        Args:
            ids: ids of the sequence from its beginning, at most as many as it has columns.
        """
        first = self.width - self.lengths[row]
        columns = slice(first, first + len(ids))
        return CachedPrefix(ids, [layer.extract(row, columns) for layer in self.layers])


def prefill(
    model: Any, past: Sequence[CachedPrefix], prompts: Sequence[tuple[int, ...]], room: int
) -> tuple[Batch, Tensor]:
    """Reads prompts, each of which extends its prefix in `past`.

    Args:
        room: number of columns that will be added after the prompts.

    Returns:
        The prompts side by side, and the logits after each, BV.
    """
    chunks = list(_chunks(past, prompts))
    if len(chunks) == 1:
        return _prefill_together(model, past, prompts, room)
    read = [CachedPrefix()] * len(prompts)
    logits = [torch.empty(0)] * len(prompts)
    for rows in chunks:
        batch, logits_BV = _prefill_together(model, [past[row] for row in rows], [prompts[row] for row in rows], 0)
        for index, row in enumerate(rows):
            read[row], logits[row] = batch.extract(index, prompts[row]), logits_BV[index]
    return Batch(model, read, room), torch.stack(logits)


def _prefill_together(
    model: Any, past: Sequence[CachedPrefix], prompts: Sequence[tuple[int, ...]], room: int
) -> tuple[Batch, Tensor]:
    """Reads prompts in one batch.

    All rows end in one column, so that each has one row of logits. A row with less to read than others reads the end
    of its prefix again; only a row that is shorter altogether begins with padding.
    """
    count = max(len(prompt) - len(prefix.ids) for prompt, prefix in zip(prompts, past, strict=True))
    starts = [len(prompt) - count for prompt in prompts]
    past = [prefix.truncated(max(0, start)) for prefix, start in zip(past, starts, strict=True)]
    batch = Batch(model, past, count + room, [max(0, -start) for start in starts])
    padded = [[0] * -start + [*prompt[max(0, start) :]] for prompt, start in zip(prompts, starts, strict=True)]
    columns = max(1, PREFILL_TOKENS // len(prompts))
    for ids_BL in torch.split(torch.tensor(padded, device=model.device), columns, dim=1):
        logits_BV = batch.forward(ids_BL)
    return batch, logits_BV


def _chunks(past: Sequence[CachedPrefix], prompts: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Yields rows to read together: all with a prefix or all without, and of like length, so that padding is little."""

    def unread(row: int) -> int:
        return len(prompts[row]) - len(past[row].ids)

    for continued in (False, True):
        chunk: list[int] = []
        for row in sorted((row for row in range(len(prompts)) if bool(past[row].ids) == continued), key=unread):
            if chunk and (len(chunk) + 1) * unread(row) > PREFILL_TOKENS:
                yield chunk
                chunk = []
            chunk.append(row)
        if chunk:
            yield chunk
