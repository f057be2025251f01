"""The index: against scores computed one document at a time, and against rankings of Lucene itself."""

from __future__ import annotations

from collections import Counter
from math import log
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.files import read_directory
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.search.analyzer import analyze
from hero.envs.webshop.search.index import HITS, Index
from hero.envs.webshop.search.postings import K1, B, build_postings, coded_length
from hero.envs.webshop.shop import open_shop
from hero.errors import DataError
from tests.envs.webshop.files import FILES, write
from tests.envs.webshop.recorded import DATA, lines, needs_recordings

vocabulary = st.sampled_from("red green blue shoe sock hat running runs the 2-pack".split())
texts = st.lists(vocabulary, max_size=60).map(" ".join)


def scored(documents: dict[str, str], query: str) -> dict[str, np.float32]:
    """Computes BM25 in scalar float32 steps, document by document, in the order of Lucene's formula."""
    terms = {name: Counter(analyze(text)) for name, text in documents.items()}
    terms = {name: counts for name, counts in terms.items() if counts}
    one = np.float32(1)
    scores: dict[str, np.float32] = {}
    average = np.float32(sum(counts.total() for counts in terms.values()) / max(len(terms), 1))
    for name, counts in terms.items():
        total = 0.0
        for term, times in Counter(analyze(query)).items():
            holding = sum(term in others for others in terms.values())
            if term in counts:
                idf = np.float32(log(1 + (len(terms) - holding + 0.5) / (holding + 0.5)))
                weight = np.float32(times) * idf
                length = np.float32(coded_length(counts.total()))
                inverse_norm = one / (K1 * ((one - B) + B * length / average))
                total += float(weight - weight / (one + np.float32(counts[term]) * inverse_norm))
        scores[name] = np.float32(total)
    return scores


def ranking(documents: dict[str, str], query: str) -> list[str]:
    scores = {name: score for name, score in scored(documents, query).items() if score}
    return sorted(scores, key=lambda name: (-scores[name], name))[:HITS]


@given(st.dictionaries(st.text("ABC", min_size=1, max_size=3), texts, max_size=12), texts)
def test_scores_are_those_of_the_formula_to_the_last_bit(documents: dict[str, str], query: str) -> None:
    index, expected = Index(documents.items()), scored(documents, query)
    assert list(index.scores(query)) == [expected[name] for name in sorted(expected)]
    assert list(index.search(query)) == ranking(documents, query)


def test_a_query_is_read_up_to_as_many_different_terms_as_lucene_takes() -> None:
    index = Index([("A", "first"), ("B", "last"), ("C", "x1")])
    many = " ".join(f"x{index} x{index}" for index in range(2, 1025))
    assert len(set(many.split())) == 1023
    assert index.search(f"{many} first last") == ("A",)
    assert index.search(f"last {many} first") == ("B",)
    assert index.scores(f"first {many} last").tolist() == index.scores("first").tolist()


def test_a_long_query_reads_no_further_than_its_terms_count() -> None:
    index = Index([("A", "x1")])
    read: list[str] = []
    with patch("hero.envs.webshop.search.index.analyze", lambda piece: read.append(piece) or [piece]):
        index.search(" ".join(f"x{index}" for index in range(100_000)))
    assert len(read) == 1024


common = st.lists(st.sampled_from("a1 a1 a1 a1 b2 b2 b2 c3 c3 d4 e5".split()), max_size=12).map(" ".join)


@given(st.lists(common, max_size=60), common, st.integers(1, 9), st.sampled_from([0, 1, 1000]))
@example(["a1"] * 10 + ["b2"] * 20 + ["c3"] * 20 + ["d4"] * 20 + ["b2 c3 d4"], "a1 b2 c3 d4", 1, 0)
def test_the_best_are_those_of_all_where_common_terms_are_not_read_in_full(
    documents: list[str], query: str, hits: int, look_ups: int
) -> None:
    index = Index((f"N{row:03}", text) for row, text in enumerate(documents))
    with patch("hero.envs.webshop.search.index.HITS", hits):
        expected = index._rank(query)
        with patch.multiple(
            "hero.envs.webshop.search.index", MAX_SCORED_POSTINGS=-1, PROMISING=2 * hits, LOOK_UPS=look_ups
        ):
            assert index._rank(query) == expected


def test_postings_of_common_terms_are_not_read_in_full() -> None:
    read = 0

    class Watched(Index):
        def _gains(self, term: Any, documents: Any, counts: Any) -> Any:
            nonlocal read
            read += len(documents)
            return super()._gains(term, documents, counts)

    texts = ["rare " * (index < 60) + "the common word" for index in range(40_000)]
    index = Watched((f"N{row:05}", text) for row, text in enumerate(texts))
    assert index.search("common rare word") == tuple(f"N{index:05}" for index in range(50))
    assert read < 1000


@given(st.lists(texts, max_size=12))
def test_batches_make_no_difference(documents: list[str]) -> None:
    whole = build_postings(enumerate_names(documents))
    with patch("hero.envs.webshop.search.postings.BATCH", 5):
        parts = build_postings(enumerate_names(documents))
    for name in ("starts", "documents", "counts", "norms", "peaks"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))
    assert list(whole.terms) == list(parts.terms)
    assert list(whole.names) == list(parts.names)


def test_counts_and_ids_beyond_their_integers_are_an_error() -> None:
    with pytest.raises(DataError, match=r"^N7: a word occurs 65,536 times"):
        build_postings([("N0", "red"), ("N7", "red sock " * 65_536)])
    assert build_postings([("N7", "red " * 65_535)]).counts.tolist() == [65_535]
    with patch("hero.envs.webshop.search.postings.NUMBER_BITS", 2):
        assert len(build_postings([(f"N{index}", "red") for index in range(4)]).names) == 4
        with pytest.raises(DataError, match=r"^N4: the index holds 4 documents and terms at most"):
            build_postings([(f"N{index}", "red") for index in range(5)])
        with pytest.raises(DataError, match=r"^N0: the index holds 4 documents and terms at most"):
            build_postings([("N0", "red green blue shoe sock")])


def enumerate_names(documents: list[str]) -> list[tuple[str, str]]:
    """Returns documents with names whose order is not theirs."""
    return [(f"N{index * 7 % 12}", text) for index, text in enumerate(documents)]


@given(st.integers(0, 70), st.integers(1, 3))
def test_at_most_fifty_hits_and_ties_by_name(count: int, kinds: int) -> None:
    documents = {f"N{index:03}": "red " * (index % kinds + 1) + "sock" for index in range(count)}
    assert list(Index(documents.items()).search("red")) == ranking(documents, "red")


def byte_code(length: int) -> int:
    """Encodes a length as Lucene's SmallFloat.intToByte4 does, and decodes the byte."""

    def encode(value: int) -> int:
        bits = value.bit_length()
        return value if bits < 4 else (value >> (bits - 4)) & 0x07 | (bits - 4 + 1) << 3

    def decode(code: int) -> int:
        shift = (code >> 3) - 1
        return code & 0x07 if shift == -1 else ((code & 0x07) | 0x08) << shift

    free = 255 - encode(2**31 - 1)
    byte = length if length < free else free + encode(length - free)
    assert 0 <= byte <= 255
    return byte if byte < free else free + decode(byte - free)


@given(st.integers(0, 2**31 - 1))
def test_lengths_are_coded_as_by_lucene(length: int) -> None:
    assert coded_length(length) == byte_code(length)


def test_coded_lengths() -> None:
    expected = {0: 0, 23: 23, 39: 39, 41: 40, 55: 54, 100: 96, 1000: 984}
    assert {length: coded_length(length) for length in expected} == expected


def test_a_query_without_a_match_has_no_hits() -> None:
    assert Index([]).search("shoe") == ()
    assert Index([("A", "shoe"), ("B", "!!!")]).search("the ???") == ()


def test_the_search_sees_title_description_first_bullet_and_options(tmp_path: Path) -> None:
    index = open_shop(
        level="", seed=0, data=write(tmp_path, FILES), instruction_kind="human", goal_seed=42
    ).inventory.index
    for seen in ("red", "shoe", "soft", "size", "10", "xl"):  # title, description, first bullet, options
        assert index.search(seen) == ("B000000001",)
    for unseen in ("light", "fashion", "B000000001"):  # second bullet, category, asin
        assert index.search(unseen) == ()


@needs_recordings
def test_rankings_are_those_of_lucene() -> None:
    shop = open_shop(level="", seed=0, data=DATA, instruction_kind="synthetic", goal_seed=42)
    records = lines("search_rankings")
    assert len(records) == 600
    wrong = [
        record["query"] for record in records if list(shop.inventory.index.search(record["query"])) != record["asins"]
    ]
    assert wrong == []
    assert len(list(parse_products(read_directory(DATA)))) == 1000
