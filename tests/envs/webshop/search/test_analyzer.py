"""The analyser: against the original Porter stemmer, and on text that is made to be slow."""

from __future__ import annotations

import string

import pytest
import snowballstemmer
from hypothesis import assume, given
from hypothesis import strategies as st

from hero.envs.webshop.search.analyzer import _terms, analyze
from hero.envs.webshop.search.porter import STEP_2, STEP_3, STEP_4, stem
from tests.envs.webshop.recorded import lines, needs_recordings
from tests.hostile import call_with_each

endings = [
    "",
    "s",
    "sses",
    "ies",
    "ed",
    "eed",
    "ing",
    "y",
    "e",
    "ll",
    "ion",
    *(old for old, _ in STEP_2 + STEP_3 + STEP_4),
]
roots = st.text("abcdefghijklmnopqrstuvwxyz0'", min_size=1, max_size=8)
words = st.builds("".join, st.tuples(roots, st.sampled_from(endings), st.sampled_from(endings)))
porter = snowballstemmer.stemmer("porter")


@given(words)
def test_stems_are_those_of_the_original_porter_stemmer(word: str) -> None:
    # A second implementation, which reads yy in another way and takes no digit for a consonant.
    assume(len(word) > 2 and "yy" not in word and "00" not in word)
    expected = porter.stemWord(word)
    # Lucene departs from it in these two suffixes alone.
    assume("bli" not in expected and "logi" not in expected and "bly" not in word and "logy" not in word)
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("technology", "technolog"),
        ("possibly", "possibl"),
        ("us", "us"),
        ("s", "s"),
        ("hopping", "hop"),
        ("filing", "file"),
        ("buzzing", "buzz"),
        ("snowing", "snow"),
        ("taxed", "tax"),
        ("played", "plai"),
    ],
)
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


@needs_recordings
def test_tokens_are_those_that_were_recorded() -> None:
    records = lines("analyzer_tokens")
    assert len(records) == 400
    assert [record["text"] for record in records if analyze(record["text"]) != record["tokens"]] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it's the men's 2-pack", ["men", "2", "pack"]),
        ("wi-fi 802.11ac 5,000mah 12:30", ["wi", "fi", "802.11ac", "5,000mah", "12", "30"]),
        ("x_y_z foo:bar o'neill’s", ["x_y_z", "foo:bar", "o'neil"]),
        ("★ ½ ™ 👍🏻 1\ufe0f\u20e3 #\ufe0f\u20e3 🇫🇷", ["★", "™", "👍🏻", "1\ufe0f\u20e3", "#\ufe0f\u20e3", "🇫🇷"]),
        ("日本 ひら カタ 한국 ไทย", ["日", "本", "ひ", "ら", "カタ", "한국", "ไทย"]),
        ("z" * 600, ["z" * 255, "z" * 255, "z" * 90]),
        ("_ __ !? \ud800", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert analyze(text) == expected


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_terms_are_not_empty_and_have_no_blanks(text: str) -> None:
    for term in analyze(text):
        assert term
        assert not set(term) & set(string.whitespace)


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=6), max_size=6))
def test_texts_joined_by_blanks_give_their_terms_in_a_row(parts: list[str]) -> None:
    assert analyze(" ".join(parts)) == [term for part in parts for term in analyze(part)]


@given(
    st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from(" a1_.'\u200d\u0301\ufe0f👍")), max_size=80)
)
def test_a_text_read_in_pieces_gives_the_terms_of_the_whole(text: str) -> None:
    assert tuple(analyze(text)) == _terms(text)


@given(
    st.lists(st.sampled_from(["★", "a's", "the", "1,0", "é.b", "_", "'s", "-", "z" * 300]), min_size=64, max_size=70)
)
def test_a_long_piece_gives_the_terms_of_the_whole(parts: list[str]) -> None:
    assert tuple(analyze("".join(parts))) == _terms("".join(parts))


@pytest.mark.parametrize(
    "piece", ["a", "a_", "_", "\u200d", "\u0301", "a.b'1", "א'", "👍\u200d", "1,", "_\u0301", "ก", "s'"]
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    call_with_each(analyze, [piece * 100_000 + "!"])
