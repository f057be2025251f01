"""Builds the arrays of a search index, which record the documents that contain each term.

Shapes: D documents with at least one term, T terms, P pairs of a term and a document that contains it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.search.analyzer import analyze
from hero.envs.webshop.storage.string_array import StringArray, encode
from hero.errors import DataError

K1: Final = np.float32(0.9)
B: Final = np.float32(0.4)
BATCH: Final = 1 << 21
"""Number of term occurrences that are collected before they are counted."""
PIECES: Final = 1 << 20
"""Maximum number of pieces of text whose terms are cached."""
NUMBER_BITS: Final = 23
COUNT_BITS: Final = 16
"""A pair takes 62 bits: the numbers of its term and its document, and the count of the term in the document."""


@dataclass(frozen=True, slots=True)
class Postings:
    """All pairs, sorted by term and then by document (compressed sparse rows).

    Attributes:
        names: names of the D documents, sorted.
        terms: the T terms, sorted.
        starts: int64 (T + 1), index of the first pair of each term, and P.
        documents: int32 (P), number of the document.
        counts: uint16 (P), count of the term in the document.
        norms: float32 (D), inverse norms of Lucene's BM25Similarity.
        peaks: float32 (T), the largest count times norm among the documents of a term, which bounds its scores.
    """

    names: StringArray
    terms: StringArray
    starts: NDArray[np.int64]
    documents: NDArray[np.int32]
    counts: NDArray[np.uint16]
    norms: NDArray[np.float32]
    peaks: NDArray[np.float32]


class _TermNumbers(dict[str, tuple[int, ...]]):
    """Numbers of the terms of each piece of text between two spaces, which no term spans; filled on access."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, int] = {}

    def __missing__(self, piece: str) -> tuple[int, ...]:
        if len(self) >= PIECES:
            self.clear()
        self[piece] = tuple([self.terms.setdefault(term, len(self.terms)) for term in analyze(piece)])
        return self[piece]


class PostingsBuilder:
    """Collects documents one by one, in any order; needs some 20 bytes for each pair of a term and a document."""

    def __init__(self) -> None:
        self._term_numbers = _TermNumbers()
        self._names: list[str] = []
        self._lengths = array("i")
        self._pending = array("i")
        self._counted = 0
        self._batches: list[NDArray[np.int64]] = []

    def add(self, name: str, text: str) -> None:
        """Adds a document; one without an index term is ignored, since no query finds it.

        Raises:
            DataError: there are more documents, terms or repetitions of a term than fit into a pair; the message
                begins with the name.
        """
        before = len(self._pending)
        self._pending.extend(chain.from_iterable(map(self._term_numbers.__getitem__, text.split(" "))))
        length = len(self._pending) - before
        if not length:
            return
        self._names.append(name)
        self._lengths.append(length)
        if max(len(self._names), len(self._term_numbers.terms)) > 1 << NUMBER_BITS:
            raise DataError(
                f"{name}: the index holds {1 << NUMBER_BITS:,} documents and terms at most; leave products out"
            )
        # Only very long documents must be counted.
        if length >= 1 << COUNT_BITS and (count := max(Counter(self._pending[before:]).values())) >= 1 << COUNT_BITS:
            raise DataError(f"{name}: a word occurs {count:,} times; shorten the text of the record")
        if len(self._pending) >= BATCH:
            self._count()

    def finish(self) -> Postings:
        """Returns the postings of all documents; the builder is empty afterwards."""
        self._count()
        self._term_numbers.clear()  # the pieces; the terms stay
        order = sorted(range(len(self._names)), key=self._names.__getitem__)
        terms = sorted(self._term_numbers.terms, key=encode)
        lengths = np.array(self._lengths, np.int64)[order]
        pairs = self._sorted(_ranks(order), _ranks([self._term_numbers.terms[term] for term in terms]))
        starts = np.searchsorted(pairs, np.arange(len(terms) + 1) << (NUMBER_BITS + COUNT_BITS)).astype(np.int64)
        documents = np.empty(len(pairs), np.int32)
        counts = np.empty(len(pairs), np.uint16)
        for first in range(0, len(pairs), BATCH):  # so that intermediate arrays are small
            part = slice(first, first + BATCH)
            documents[part] = (pairs[part] >> COUNT_BITS) & ((1 << NUMBER_BITS) - 1)
            counts[part] = pairs[part] & ((1 << COUNT_BITS) - 1)
        del pairs
        norms = _inverse_norms(lengths)
        peaks = np.maximum.reduceat(counts * norms[documents], starts[:-1]) if terms else np.zeros(0, np.float32)
        names = StringArray.of(self._names[index] for index in order)
        return Postings(names, StringArray.of(terms), starts, documents, counts, norms, peaks)

    def _count(self) -> None:
        """Turns the pending terms into pairs."""
        lengths = np.array(self._lengths[self._counted :], np.int64)
        documents = np.repeat(np.arange(self._counted, len(self._names)), lengths)
        terms = np.array(self._pending, np.int64)
        pairs, counts = np.unique(documents << NUMBER_BITS | terms, return_counts=True)
        self._batches.append(pairs << COUNT_BITS | counts)
        self._counted = len(self._names)
        self._pending = array("i")

    def _sorted(self, document_ranks: NDArray[np.int64], term_ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns all pairs, sorted, with documents and terms numbered in their sorted order."""
        pairs = np.empty(sum(map(len, self._batches)), np.int64)
        end = len(pairs)
        while self._batches:  # freed one by one, since together they are as large as the result
            batch = self._batches.pop()
            terms = term_ranks[(batch >> COUNT_BITS) & ((1 << NUMBER_BITS) - 1)]
            documents = document_ranks[batch >> (COUNT_BITS + NUMBER_BITS)]
            counts = batch & ((1 << COUNT_BITS) - 1)
            pairs[end - len(batch) : end] = (terms << NUMBER_BITS | documents) << COUNT_BITS | counts
            end -= len(batch)
        pairs.sort()
        return pairs


def build_postings(documents: Iterable[tuple[str, str]]) -> Postings:
    """Builds the postings of pairs of a unique name and a text."""
    builder = PostingsBuilder()
    for name, text in documents:
        builder.add(name, text)
    return builder.finish()


def coded_length(length: int) -> int:
    """Rounds a document length like Lucene's one-byte code (byte4ToInt of intToByte4 in SmallFloat); exact up to 39."""
    if length < 24:
        return length
    shift = max((length - 24).bit_length() - 4, 0)
    return 24 + (length - 24 >> shift << shift)


def _inverse_norms(lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    average = np.float32(int(lengths.sum()) / max(len(lengths), 1))
    distinct, inverse = np.unique(lengths, return_inverse=True)
    coded = np.array([coded_length(length) for length in distinct.tolist()], np.float32)[inverse]
    return np.float32(1) / (K1 * ((np.float32(1) - B) + B * coded / average))


def _ranks(order: list[int]) -> NDArray[np.int64]:
    """Returns the position of each number in a permutation."""
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
