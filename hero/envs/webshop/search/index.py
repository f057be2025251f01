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
from hero.envs.webshop.search.postings import Postings, build
from hero.errors import DataError

HITS: Final = 50
"""Results per query, as in the original."""
MOST_TERMS: Final = 1024
"""Different terms of a query that are looked for, from its beginning; the original's Lucene fails on more."""
LONG: Final = 1 << 12
"""Characters of a query that is not read at once."""
FEW: Final = 1 << 15
"""Pairs of a term and a document that are scored sooner than thought about."""
PROMISING: Final = 4 * HITS
"""Documents that are scored in full to learn early what score the best have."""
LOOK_UPS: Final = 4
"""Postings that can be read in the time in which one document is looked up in them."""
SLACK: Final = 1 - 1e-6
"""What rounding may take off a sum of scores, with room to spare."""


class Term(NamedTuple):
    """A term of a query.

    Attributes:
        documents: that hold it, in order; int32.
        counts: how often each of them does.
        weight: its idf times its count in the query.
        peak: the largest saturation, 1 + count times norm, among the documents.
    """

    documents: NDArray[np.int32]
    counts: NDArray[np.uint16]
    weight: np.float32
    peak: np.float32

    @property
    def most(self) -> float:
        """The highest score that it gives, rounded as all are."""
        return float(self.weight - self.weight / self.peak)


class Index:
    """A search index over named documents.

    Scores are those of Lucene's BM25Similarity (k1 0.9, b 0.4, float32 steps, document lengths in its one-byte
    code), summed in float64 and rounded once; ties go to the smaller name.
    """

    def __init__(self, documents: Iterable[tuple[str, str]] | Postings) -> None:
        """Builds the index, or opens one.

        Args:
            documents: pairs of a unique name and a text; documents without an index term are never found. Or what
                `build` made of them.
        """
        self._postings = documents if isinstance(documents, Postings) else build(documents)
        self._starts = self._postings.starts.data
        self._ranked = lru_cache(maxsize=1024)(self._rank)
        self._name = lru_cache(maxsize=4096)(self._postings.names.__getitem__)
        self._term = lru_cache(maxsize=4096)(self._look_up)

    def search(self, query: str) -> tuple[str, ...]:
        """The names of the `HITS` best documents, best first; fewer, or none, where fewer share a term with it.

        Raises:
            DataError: the postings are damaged in a way that their fingerprint does not show.
        """
        try:
            return self._ranked(query)
        except (IndexError, ValueError) as error:
            raise DataError(
                f"the postings of the index are damaged ({error}); remove hero_index, and run hero data webshop again"
            ) from error

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of each document that has a term, in the order of the names; 0 where it shares none."""
        return self._all_scores(self._terms(query)).astype(np.float32)

    def _rank(self, query: str) -> tuple[str, ...]:
        terms = self._terms(query)
        if sum(len(term.documents) for term in terms) > FEW:
            found = self._candidates(terms)
            ranked = self._scores_of(terms, found)
        else:
            scores = self._all_scores(terms).astype(np.float32)
            found = np.flatnonzero(scores)
            ranked = scores[found]
        if len(found) > HITS:
            least = np.partition(ranked, -HITS)[-HITS]
            found, ranked = found[ranked >= least], ranked[ranked >= least]
        # Documents are numbered by name, so that a stable sort breaks ties by it.
        best = found[np.argsort(-ranked, kind="stable")][:HITS]
        return tuple(map(self._name, best.tolist()))

    def _terms(self, query: str) -> list[Term]:
        """The terms of a query that some document holds, in the order in which their scores are summed."""
        counts: Counter[str] = Counter()
        for piece in [query] if len(query) < LONG else query.split(" "):
            counts.update(analyze(piece))
            if len(counts) >= MOST_TERMS:
                break
        found = ((self._term(text), np.float32(count)) for text, count in islice(counts.items(), MOST_TERMS))
        return [
            term if count == 1 else term._replace(weight=count * term.weight)
            for term, count in found
            if term is not None
        ]

    def _look_up(self, text: str) -> Term | None:
        """A term that is once in a query; None where no document holds it."""
        place = self._postings.terms.find(text)
        if place is None:
            return None
        start, end, total = self._starts[place], self._starts[place + 1], len(self._postings.norms)
        weight = np.float32(log(1 + (total - (end - start) + 0.5) / (end - start + 0.5)))
        peak = np.float32(1) + self._postings.peaks[place]
        return Term(self._postings.documents[start:end], self._postings.counts[start:end], weight, peak)

    def _gains(self, term: Term, documents: NDArray[np.int32], counts: NDArray[np.uint16]) -> NDArray[np.float32]:
        """What a term adds to the scores of some of its documents."""
        return term.weight - term.weight / (np.float32(1) + counts * self._postings.norms[documents])

    def _all_scores(self, terms: Iterable[Term]) -> NDArray[np.float64]:
        scores = np.zeros(len(self._postings.norms))
        for term in terms:
            self._add(scores, term)
        return scores

    def _scores_of(self, terms: Iterable[Term], documents: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of some documents, which are sorted: the sums that `scores` makes, term by term."""
        scores = np.zeros(len(documents))
        for term in terms:
            held, places = _among(term.documents, documents)
            scores[held] += self._gains(term, term.documents[places], term.counts[places])
        return scores.astype(np.float32)

    def _candidates(self, terms: Sequence[Term]) -> NDArray[np.int64]:
        """A superset of the `HITS` best documents, sorted, without reading every posting of the common terms.

        MaxScore (Turtle and Flood 1995), term by term: a document can still be among the best if what its terms have
        given it, and the most that the terms to come can give, reach a score that `HITS` documents are known to have.
        """
        terms = sorted(terms, key=lambda term: -term.most)
        left = np.cumsum([0.0, *(term.most for term in reversed(terms))])[::-1]
        scores = np.zeros(len(self._postings.norms))
        promising = np.zeros(0, np.int64)
        reached, read = 0.0, 0
        while read < len(terms) and left[read] >= reached:
            documents = self._add(scores, terms[read])
            high = documents[scores[documents] >= reached]
            promising = _best(scores, np.union1d(promising, _best(scores, high)))
            if len(promising) >= HITS:
                reached = SLACK * np.partition(scores[promising], -HITS)[-HITS]
            read += 1
        if len(promising) >= HITS:  # their full scores say more than what they have by now
            reached = max(reached, SLACK * np.partition(self._scores_of(terms, promising), -HITS)[-HITS])
        found = np.flatnonzero(scores >= max(reached - left[read], np.finfo(float).tiny))
        for number in range(read, len(terms)):
            term = terms[number]
            if len(found) * LOOK_UPS > len(term.documents):
                self._add(scores, term)
            else:
                held, places = _among(term.documents, found)
                scores[found[held]] += self._gains(term, term.documents[places], term.counts[places])
            found = found[scores[found] >= reached - left[number + 1]]
        return found

    def _add(self, scores: NDArray[np.float64], term: Term) -> NDArray[np.int32]:
        """Adds to the scores of all documents of a term, and returns these."""
        scores[term.documents] += self._gains(term, term.documents, term.counts)
        return term.documents


def _best(scores: NDArray[np.float64], documents: NDArray[np.integer]) -> NDArray[np.int64]:
    """Up to `PROMISING` of some documents, sorted, of the highest scores."""
    if len(documents) > PROMISING:
        documents = documents[np.argpartition(scores[documents], -PROMISING)[-PROMISING:]]
    return np.sort(documents).astype(np.int64)


def _among(documents: NDArray[np.int32], wanted: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which of some wanted documents are among others, and where; both are sorted, without repetitions."""
    places = np.searchsorted(documents, wanted.astype(np.int32))
    places[places == len(documents)] = 0
    held = documents[places] == wanted
    return held, places[held]
