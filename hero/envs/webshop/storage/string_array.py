"""Very many texts in two arrays, which may be memory-mapped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class Strings:
    """A row of texts, of which each is decoded when it is looked at.

    Args:
        content: the texts in UTF-8, one after another, bytes.
        starts: int64, where each of the N texts begins, and where the last ends: N + 1 numbers.
    """

    def __init__(self, content: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.content = content
        self.starts = starts
        # Views of the arrays whose elements are plain Python objects, which are several times faster to get one by one.
        self._content = content.data
        self._starts = starts.data

    @classmethod
    def of(cls, texts: Iterable[str]) -> Strings:
        """The texts, in memory."""
        encoded = [encode(text) for text in texts]
        starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: int) -> str:
        return self._bytes(place).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self._starts):
            yield self._content[start:end].tobytes().decode("utf-8", "surrogatepass")

    def find(self, text: str) -> int | None:
        """The place of a text among texts that are sorted; None where it is not one of them."""
        wanted = encode(text)
        place = bisect_left(range(len(self)), wanted, key=self._bytes)
        return place if place < len(self) and self._bytes(place) == wanted else None

    def _bytes(self, place: int) -> bytes:
        return self._content[self._starts[place] : self._starts[place + 1]].tobytes()


def encode(text: str) -> bytes:
    """UTF-8, which sorts as the text does; halves of surrogate pairs, which JSON may hold, are kept."""
    return text.encode("utf-8", "surrogatepass")
