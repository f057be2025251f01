"""Millions of strings in two arrays, which may be memory-mapped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class StringArray:
    """A sequence of N strings, each decoded on access.

    Args:
        content: uint8, the strings in UTF-8, one after another.
        starts: int64 (N + 1,), offset of the first byte of each string, and of the end of the last.
    """

    def __init__(self, content: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.content = content
        self.starts = starts
        # The elements of memoryviews are plain Python objects, which are several times faster to get one by one.
        self._content = content.data
        self._starts = starts.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> StringArray:
        """Builds an array in memory."""
        encoded = [encode(text) for text in texts]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: int) -> str:
        return self._bytes(index).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self._starts):
            yield self._content[start:end].tobytes().decode("utf-8", "surrogatepass")

    def find(self, text: str) -> int | None:
        """Returns the index of a string, given that all are sorted; None if it is not one of them."""
        encoded = encode(text)
        index = bisect_left(range(len(self)), encoded, key=self._bytes)
        return index if index < len(self) and self._bytes(index) == encoded else None

    def _bytes(self, index: int) -> bytes:
        return self._content[self._starts[index] : self._starts[index + 1]].tobytes()


def encode(text: str) -> bytes:
    """Encodes a string in UTF-8, which sorts like the string; halves of surrogate pairs, legal in JSON, are kept."""
    return text.encode("utf-8", "surrogatepass")
