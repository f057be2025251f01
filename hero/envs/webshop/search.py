"""BM25 as Lucene computes it, to the last bit of the scores, over NumPy postings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.text import analyze

K1: Final = np.float32(0.9)
B: Final = np.float32(0.4)
HITS: Final = 50
"""Results per query, as in the original."""
Posting = tuple[NDArray[np.int32], np.float32, NDArray[np.float32]]
"""Of a term: the documents that hold it, its idf, and 1 + count / norm in each of them."""


class Index:
    """A search index over named documents.

    Scores are those of Lucene's BM25Similarity (k1 0.9, b 0.4, float32 steps, document lengths in its one-byte
    code), summed in float64 and rounded once; ties go to the smaller name.
    """

    def __init__(self, documents: Iterable[tuple[str, str]]) -> None:
        """Builds the index.

        Args:
            documents: pairs of a unique name and a text; documents without an index term are never found.
        """
        counted = [(name, Counter(analyze(text))) for name, text in sorted(documents)]
        counted = [(name, counts) for name, counts in counted if counts]
        self._names = [name for name, _ in counted]
        lengths = [counts.total() for _, counts in counted]
        norms = _inverse_norms(lengths)
        postings: dict[str, tuple[list[int], list[int]]] = {}
        for document, (_, counts) in enumerate(counted):
            for term, count in counts.items():
                documents_of, counts_of = postings.setdefault(term, ([], []))
                documents_of.append(document)
                counts_of.append(count)
        self._postings = {
            term: _posting(np.array(where, np.int32), np.array(counts, np.float32), norms)
            for term, (where, counts) in postings.items()
        }
        self._ranked = lru_cache(maxsize=1024)(self._rank)

    def search(self, query: str) -> tuple[str, ...]:
        """The names of the `HITS` best documents, best first; fewer, or none, where fewer share a term with it."""
        return self._ranked(query)

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of each document that has a term, in the order of the names; 0 where it shares none."""
        scores = np.zeros(len(self._names))
        for term, count in Counter(analyze(query)).items():
            if term in self._postings:
                where, weight, saturation = self._postings[term]
                boosted = np.float32(count) * weight
                scores[where] += boosted - boosted / saturation
        return scores.astype(np.float32)

    def _rank(self, query: str) -> tuple[str, ...]:
        scores = self.scores(query)
        found = np.flatnonzero(scores)
        ranked = scores[found]
        if len(found) > HITS:
            least = np.partition(ranked, -HITS)[-HITS]
            found, ranked = found[ranked >= least], ranked[ranked >= least]
        # Documents are numbered by name, so that a stable sort breaks ties by it.
        return tuple(self._names[document] for document in found[np.argsort(-ranked, kind="stable")][:HITS])


def coded_length(length: int) -> int:
    """A document length after Lucene's one-byte code (byte4ToInt of intToByte4 in SmallFloat): exact up to 39."""
    if length < 24:
        return length
    shift = max((length - 24).bit_length() - 4, 0)
    return 24 + (length - 24 >> shift << shift)


def _inverse_norms(lengths: list[int]) -> NDArray[np.float32]:
    average = np.float32(sum(lengths) / max(len(lengths), 1))
    coded = np.array([coded_length(length) for length in lengths], np.float32)
    return np.float32(1) / (K1 * ((np.float32(1) - B) + B * coded / average))


def _posting(where: NDArray[np.int32], counts: NDArray[np.float32], norms: NDArray[np.float32]) -> Posting:
    idf = np.float32(log(1 + (len(norms) - len(where) + 0.5) / (len(where) + 0.5)))
    return where, idf, np.float32(1) + counts * norms[where]
