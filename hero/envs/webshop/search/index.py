"""BM25 as Lucene computes it, to the last bit of the scores, over NumPy postings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from math import log
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.search.analyzer import analyze
from hero.envs.webshop.search.postings import Postings, build_postings
from hero.errors import DataError

HITS: Final = 50
"""Maximum number of results of a query, as in the original."""
MAX_TERMS: Final = 1024
"""Maximum number of distinct terms of a query; the rest is ignored, where the original's Lucene fails."""
MIN_SPLIT_LENGTH: Final = 1 << 12
"""Minimum number of characters of a query that is split at spaces and analysed piece by piece."""
MAX_SCORED_POSTINGS: Final = 1 << 15
"""Maximum number of postings of a query that are all scored, since pruning would take longer."""
PROMISING: Final = 4 * HITS
"""Number of documents that are scored in full early, to estimate the scores of the best."""
LOOK_UPS: Final = 4
"""Number of postings that can be read in the time of one binary search."""
SLACK: Final = 1 - 1e-6
"""Factor that is below the rounding errors of a sum of scores."""


class QueryTerm(NamedTuple):
    """A term of a query.

    Attributes:
        documents: numbers of the documents that contain it, sorted.
        counts: its count in each of them.
        weight: its idf times its count in the query.
        peak: the largest saturation, 1 + count times norm, among the documents.
    """

    documents: NDArray[np.int32]
    counts: NDArray[np.uint16]
    weight: np.float32
    peak: np.float32

    @property
    def max_score(self) -> float:
        """The highest score that it adds to a document, rounded like all scores."""
        return float(self.weight - self.weight / self.peak)


class Index:
    """A search index over named documents.

    Scores are those of Lucene's BM25Similarity (k1 0.9, b 0.4, float32 steps, document lengths in its one-byte
    code), summed in float64 and rounded once; ties go to the smaller name.
    """

    def __init__(self, documents: Iterable[tuple[str, str]] | Postings) -> None:
        """Builds the index, or opens one.

        Args:
            documents: pairs of a unique name and a text, or their postings; a document without an index term is no
                result of any query.
        """
        self._postings = documents if isinstance(documents, Postings) else build_postings(documents)
        self._starts = self._postings.starts.data
        self._ranked = lru_cache(maxsize=1024)(self._rank)
        self._name = lru_cache(maxsize=4096)(self._postings.names.__getitem__)
        self._term = lru_cache(maxsize=4096)(self._look_up)

    def search(self, query: str) -> tuple[str, ...]:
        """Returns the names of the `HITS` best documents, best first; fewer where fewer share a term with the query.

        Raises:
            DataError: the postings are damaged in a part that their hash does not cover.
        """
        try:
            return self._ranked(query)
        except (IndexError, ValueError) as error:
            raise DataError(
                f"the postings of the index are damaged ({error}); remove hero_index, and run hero data webshop again"
            ) from error

    def scores(self, query: str) -> NDArray[np.float32]:
        """Returns the score of each document, in the order of the names; 0 where it shares no term with the query."""
        return self._all_scores(self._terms(query)).astype(np.float32)

    def _rank(self, query: str) -> tuple[str, ...]:
        terms = self._terms(query)
        if sum(len(term.documents) for term in terms) > MAX_SCORED_POSTINGS:
            documents = self._candidates(terms)
            scores = self._scores_of(terms, documents)
        else:
            all_scores = self._all_scores(terms).astype(np.float32)
            documents = np.flatnonzero(all_scores)
            scores = all_scores[documents]
        if len(documents) > HITS:
            least = np.partition(scores, -HITS)[-HITS]
            documents, scores = documents[scores >= least], scores[scores >= least]
        # Documents are numbered by name, so that a stable sort breaks ties by name.
        best = documents[np.argsort(-scores, kind="stable")][:HITS]
        return tuple(map(self._name, best.tolist()))

    def _terms(self, query: str) -> list[QueryTerm]:
        """Returns the terms of a query that occur in a document, in the order in which their scores are summed."""
        counts: Counter[str] = Counter()
        for piece in [query] if len(query) < MIN_SPLIT_LENGTH else query.split(" "):
            counts.update(analyze(piece))
            if len(counts) >= MAX_TERMS:
                break
        terms = ((self._term(text), np.float32(count)) for text, count in islice(counts.items(), MAX_TERMS))
        return [
            term if count == 1 else term._replace(weight=count * term.weight)
            for term, count in terms
            if term is not None
        ]

    def _look_up(self, text: str) -> QueryTerm | None:
        """Returns a term with its weight for a single occurrence in a query; None where no document contains it."""
        index = self._postings.terms.find(text)
        if index is None:
            return None
        start, end, total = self._starts[index], self._starts[index + 1], len(self._postings.norms)
        weight = np.float32(log(1 + (total - (end - start) + 0.5) / (end - start + 0.5)))
        peak = np.float32(1) + self._postings.peaks[index]
        return QueryTerm(self._postings.documents[start:end], self._postings.counts[start:end], weight, peak)

    def _gains(self, term: QueryTerm, documents: NDArray[np.int32], counts: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Returns the scores that a term adds to some of its documents."""
        return term.weight - term.weight / (np.float32(1) + counts * self._postings.norms[documents])

    def _all_scores(self, terms: Iterable[QueryTerm]) -> NDArray[np.float64]:
        scores = np.zeros(len(self._postings.norms))
        for term in terms:
            self._add(scores, term)
        return scores

    def _scores_of(self, terms: Iterable[QueryTerm], documents: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the scores of some documents, which are sorted; they equal those of `scores` to the last bit."""
        scores = np.zeros(len(documents))
        for term in terms:
            is_present, indices = _locate(documents, term.documents)
            scores[is_present] += self._gains(term, term.documents[indices], term.counts[indices])
        return scores.astype(np.float32)

    def _candidates(self, terms: Sequence[QueryTerm]) -> NDArray[np.int64]:
        """Returns a superset of the `HITS` best documents, sorted, without reading every posting of the common terms.

        MaxScore (Turtle and Flood 1995), term by term: a document can still be among the best if its score so far, and
        the most that the remaining terms can add, reach a score that `HITS` documents are known to have.
        """
        terms = sorted(terms, key=lambda term: -term.max_score)
        remaining = np.cumsum([0.0, *(term.max_score for term in reversed(terms))])[::-1]
        scores = np.zeros(len(self._postings.norms))
        promising = np.zeros(0, np.int64)
        threshold, count = 0.0, 0  # `count` terms have been added in full
        while count < len(terms) and remaining[count] >= threshold:
            documents = self._add(scores, terms[count])
            high = documents[scores[documents] >= threshold]
            promising = _best(scores, np.union1d(promising, _best(scores, high)))
            if len(promising) >= HITS:
                threshold = SLACK * np.partition(scores[promising], -HITS)[-HITS]
            count += 1
        if len(promising) >= HITS:  # their full scores give a higher bound than those so far
            threshold = max(threshold, SLACK * np.partition(self._scores_of(terms, promising), -HITS)[-HITS])
        candidates = np.flatnonzero(scores >= max(threshold - remaining[count], np.finfo(float).tiny))
        for index in range(count, len(terms)):
            term = terms[index]
            if len(candidates) * LOOK_UPS > len(term.documents):
                self._add(scores, term)
            else:
                is_present, indices = _locate(candidates, term.documents)
                scores[candidates[is_present]] += self._gains(term, term.documents[indices], term.counts[indices])
            candidates = candidates[scores[candidates] >= threshold - remaining[index + 1]]
        return candidates

    def _add(self, scores: NDArray[np.float64], term: QueryTerm) -> NDArray[np.int32]:
        """Adds a term to the scores of all its documents, and returns these."""
        scores[term.documents] += self._gains(term, term.documents, term.counts)
        return term.documents


def _best(scores: NDArray[np.float64], documents: NDArray[np.integer]) -> NDArray[np.int64]:
    """Returns the `PROMISING` documents with the highest scores, sorted; fewer where fewer are given."""
    if len(documents) > PROMISING:
        documents = documents[np.argpartition(scores[documents], -PROMISING)[-PROMISING:]]
    return np.sort(documents).astype(np.int64)


def _locate(wanted: NDArray[np.int64], documents: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Returns a mask of the wanted numbers that are among `documents`, and their indices there; both are sorted."""
    indices = np.searchsorted(documents, wanted.astype(np.int32))
    indices[indices == len(documents)] = 0
    is_present = documents[indices] == wanted
    return is_present, indices[is_present]
