"""Keys and values by sequence: taken out of a batch, kept, and put together into the next batch.

Shapes: B batch, H key-value heads, T tokens, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from hero.models.architecture import cache_argument, cached_layers, context_length

PREFILL_TOKENS: Final = 8192
"""Padded tokens that are read in one forward pass, at most: bounds the memory for activations."""


@dataclass(slots=True)
class Sequenced:
    """A token sequence and what attention remembers of it.

    Attributes:
        ids: the tokens whose keys and values these are.
        layers: keys and values of each layer, both HTD with T = len(ids); empty if `ids` is.
    """

    ids: tuple[int, ...] = ()
    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Size of the keys and values, in memory of their own."""
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def first(self, count: int) -> Sequenced:
        """Its first so many tokens; shares its memory."""
        return Sequenced(self.ids[:count], [(keys[:, :count], values[:, :count]) for keys, values in self.layers])


class Kept:
    """Sequences in memory of their own, up to a number of bytes in all."""

    def __init__(self, limit: int) -> None:
        self.sequences: list[Sequenced] = []
        self._left = limit

    def add(self, sequence: Sequenced) -> None:
        """Keeps a copy, if there is room for it."""
        if sequence.nbytes <= self._left:
            self._left -= sequence.nbytes
            copies = [(keys.clone(), values.clone()) for keys, values in sequence.layers]
            self.sequences.append(Sequenced(sequence.ids, copies))


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A cache layer with room for what will come: appending a token copies that token, not the whole cache.

    Args:
        past: keys and values of each sequence, HTD; they end in the same column. Empty for no past.
        capacity: columns in all.
    """

    def __init__(self, past: Sequence[tuple[Tensor, Tensor]], capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.capacity = capacity
        self.length = max((keys.shape[1] for keys, _ in past), default=0)
        if past:
            self._keys = _right_aligned([keys for keys, _ in past], self.length, capacity)
            self._values = _right_aligned([values for _, values in past], self.length, capacity)
            self._expose()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends columns; returns all keys and values so far, BHTD."""
        if not self.is_initialized:
            self._keys = key_states.new_empty(*key_states.shape[:2], self.capacity, key_states.shape[-1])
            self._values = value_states.new_empty(*value_states.shape[:2], self.capacity, value_states.shape[-1])
        start, self.length = self.length, self.length + key_states.shape[-2]
        self._keys[:, :, start : self.length] = key_states
        self._values[:, :, start : self.length] = value_states
        return self._expose()

    def select(self, rows: Tensor) -> None:
        """Keeps only these sequences."""
        self._keys, self._values = self._keys[rows], self._values[rows]
        self._expose()

    def row(self, number: int, columns: slice) -> tuple[Tensor, Tensor]:
        """Keys and values of one sequence, HTD."""
        return self._keys[number, :, columns], self._values[number, :, columns]

    def _expose(self) -> tuple[Tensor, Tensor]:
        """Shows transformers the columns that are in use."""
        keys, values = self._keys[:, :, : self.length], self._values[:, :, : self.length]
        self.keys, self.values = keys, values
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        return keys, values


class Batch:
    """Sequences side by side, ending in the same column, so that one forward pass extends them all.

    Whether a column holds a token of a sequence is known by its place, never by a padding id: that may be a stop token.

    Args:
        past: the sequences; all of them are empty, or all have layers.
        room: for so many columns more.
        padding: of each sequence, how many of the columns that are read first are before its beginning; only of empty
            ones.
    """

    def __init__(self, model: Any, past: Sequence[Sequenced], room: int, padding: Sequence[int] = ()) -> None:
        self.model = model
        self.width = max(len(sequence.ids) for sequence in past)
        padding = padding or [0] * len(past)
        self.lengths = [len(sequence.ids) - pad for sequence, pad in zip(past, padding, strict=True)]
        self.capacity = self.width + room
        count = cached_layers(model)
        layers = ([sequence.layers[n] for sequence in past] if self.width else [] for n in range(count))
        self.layers = [GrowingLayer(rows, self.capacity) for rows in layers]
        self._cache = {cache_argument(model): Cache(layers=[*self.layers])}
        columns = torch.arange(self.capacity)
        self._mask = (columns >= self.width - torch.tensor(self.lengths)[:, None]).long().to(model.device)
        self._positions = torch.tensor(self.lengths, device=model.device)
        self._last_position = context_length(model) - 1

    def forward(self, ids: Tensor) -> Tensor:
        """Reads BT more tokens of each sequence; returns the logits that follow the last, BV."""
        start, count = self.layers[0].length, ids.shape[1]
        offsets = torch.arange(start - self.width, start - self.width + count, device=ids.device)
        logits: Tensor = self.model(
            input_ids=ids,
            attention_mask=self._mask[:, : start + count],
            # Padding, and what is read on of a sequence that has ended, stand nowhere that the model does not know.
            position_ids=(self._positions[:, None] + offsets).clamp(0, self._last_position),
            use_cache=True,
            logits_to_keep=1,
            **self._cache,
        ).logits
        return logits[:, -1]

    def select(self, rows: Sequence[int]) -> None:
        """Keeps only these sequences."""
        index = torch.tensor(rows, device=self._mask.device)
        self.lengths = [self.lengths[row] for row in rows]
        self._mask, self._positions = self._mask[index], self._positions[index]
        for layer in self.layers:
            layer.select(index)

    def take(self, row: int, ids: tuple[int, ...]) -> Sequenced:
        """One of the sequences by itself, its `ids` being those before the batch and as many after as are given.

        It shares the memory of the batch, all of which lives as long as the sequence does.
        """
        first = self.width - self.lengths[row]
        columns = slice(first, first + len(ids))
        return Sequenced(ids, [layer.row(row, columns) for layer in self.layers])


def prefill(
    model: Any, past: Sequence[Sequenced], prompts: Sequence[tuple[int, ...]], room: int
) -> tuple[Batch, Tensor]:
    """Reads prompts that extend the sequences of `past`.

    Args:
        room: for so many columns after the prompts.

    Returns:
        The prompts side by side, and the logits that follow them, BV.
    """
    chunks = list(_chunks(past, prompts))
    if len(chunks) == 1:
        return _read(model, past, prompts, room)
    sequences: list[Sequenced] = [Sequenced()] * len(prompts)
    logits: list[Tensor] = [torch.empty(0)] * len(prompts)
    for rows in chunks:
        batch, found = _read(model, [past[row] for row in rows], [prompts[row] for row in rows], 0)
        for number, row in enumerate(rows):
            sequences[row], logits[row] = batch.take(number, prompts[row]), found[number]
    return Batch(model, sequences, room), torch.stack(logits)


def _read(model: Any, past: Sequence[Sequenced], prompts: Sequence[tuple[int, ...]], room: int) -> tuple[Batch, Tensor]:
    """Reads prompts in one batch.

    All rows end in one column, so that there is one row of logits for each. Where one has less to read than others, it
    reads the end of its past again; only where it is shorter altogether, it begins with padding.
    """
    count = max(len(prompt) - len(known.ids) for prompt, known in zip(prompts, past, strict=True))
    starts = [len(prompt) - count for prompt in prompts]
    known = [sequence.first(max(0, start)) for sequence, start in zip(past, starts, strict=True)]
    batch = Batch(model, known, count + room, [max(0, -start) for start in starts])
    padded = [[0] * -start + [*prompt[max(0, start) :]] for prompt, start in zip(prompts, starts, strict=True)]
    size = max(1, PREFILL_TOKENS // len(prompts))
    for ids in torch.split(torch.tensor(padded, device=model.device), size, dim=1):
        logits = batch.forward(ids)
    return batch, logits


def _chunks(past: Sequence[Sequenced], prompts: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Rows to be read together: all with a past or all without, and of like length, so that little is padding."""

    def new(row: int) -> int:
        return len(prompts[row]) - len(past[row].ids)

    for continued in (False, True):
        chunk: list[int] = []
        for row in sorted((row for row in range(len(prompts)) if bool(past[row].ids) == continued), key=new):
            if chunk and (len(chunk) + 1) * new(row) > PREFILL_TOKENS:
                yield chunk
                chunk = []
            chunk.append(row)
        if chunk:
            yield chunk


def longest_prefix(kept: Iterable[Sequenced], prompt: tuple[int, ...]) -> Sequenced:
    """The longest of the sequences that the prompt begins with; an empty one if there is none."""
    best = Sequenced()
    for sequence in kept:
        size = len(sequence.ids)
        if len(best.ids) < size < len(prompt) and prompt[:size] == sequence.ids:
            best = sequence
    return best


def _right_aligned(rows: Sequence[Tensor], width: int, capacity: int) -> Tensor:
    """HTD tensors as one BHTD tensor of which the first `width` columns are theirs, zeros in front."""
    heads, _, size = rows[0].shape
    batch = rows[0].new_empty(len(rows), heads, capacity, size)
    for target, row in zip(batch, rows, strict=True):
        target[:, : width - row.shape[1]] = 0  # a weight of 0 times what was in memory could be NaN
        target[:, width - row.shape[1] : width] = row
    return batch
