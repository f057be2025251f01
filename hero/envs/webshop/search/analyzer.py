"""Turns text into index terms like Lucene's EnglishAnalyzer.

Unicode words (UAX #29, as Lucene's StandardTokenizer reads it), possessives off, lower case, stop words off, Porter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

import regex

from hero.envs.webshop.search.porter import stem

STOP_WORDS: Final = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with".split()
)
MAX_TOKEN_LENGTH: Final = 255

# Extended_Pictographic of Emoji 11.0, which Lucene's tables are from: later versions leave most dingbats out.
_PICTOGRAPH: Final = (
    r"[\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    r"\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2605\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714"
    r"\u2716\u271d\u2721\u2728\u2733\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767\u2795-\u2797\u27a1"
    r"\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f0ff"
    r"\U0001f10d-\U0001f10f\U0001f12f\U0001f16c-\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a"
    r"\U0001f1ad-\U0001f1e5\U0001f201-\U0001f20f\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f23c-\U0001f23f"
    r"\U0001f249-\U0001f3fa\U0001f400-\U0001f53d\U0001f546-\U0001f64f\U0001f680-\U0001f6ff\U0001f774-\U0001f77f"
    r"\U0001f7d5-\U0001f7ff\U0001f80c-\U0001f80f\U0001f848-\U0001f84f\U0001f85a-\U0001f85f\U0001f888-\U0001f88f"
    r"\U0001f8ae-\U0001f8ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945\U0001f947-\U0001fffd]"
)
# The tokeniser maps every character to one letter; the first property that matches decides.
_PROPERTIES: Final = tuple(
    (code, regex.compile(pattern, regex.VERSION1))
    for code, pattern in {
        "x": r"[\p{WB=Format}\p{WB=Extend}--[\uFE0E\uFE0F\u20E3]]",  # part of the character before it
        "P": _PICTOGRAPH,
        "V": r"\uFE0F",  # asks for the emoji presentation
        "v": r"\uFE0E",
        "k": r"\u20E3",  # the key drawn around the character before it
        "#": r"[#*]",
        "z": r"\p{WB=ZWJ}",
        "R": r"\p{WB=Regional_Indicator}",
        "H": r"\p{WB=Hebrew_Letter}",
        "L": r"\p{WB=ALetter}",
        "N": r"\p{WB=Numeric}",
        "K": r"\p{WB=Katakana}",
        "_": r"\p{WB=ExtendNumLet}",
        ":": r"\p{WB=MidLetter}",
        ".": r"\p{WB=MidNumLet}",
        ",": r"\p{WB=MidNum}",
        "'": r"\p{WB=Single_Quote}",
        '"': r"\p{WB=Double_Quote}",
        "S": r"\p{LB=SA}",
        "C": r"\p{Script=Han}",
        "J": r"\p{Script=Hiragana}",
        " ": r"(?s:.)",
    }.items()
)


class _Codes(dict[int, str]):
    """A table for str.translate, filled on access."""

    def __missing__(self, key: int) -> str:
        self[key] = next(code for code, pattern in _PROPERTIES if pattern.match(chr(key)))
        return self[key]


_CODES: Final = _Codes()
_X: Final = "[xvVzk]*+"
_LETTERS: Final = f"[LH]{_X}(?:(?:[:.']{_X}|(?:_{_X})*+)[LH]{_X})*+"
_DIGITS: Final = f"N{_X}(?:(?:[,.']{_X}|(?:_{_X})*+)N{_X})*+"
_HEBREW: Final = f"H{_X}(?:\"{_X}H{_X}|'{_X}(?![LH]))"
_RUN: Final = f"(?:K{_X}(?:(?:_{_X})*+K{_X})*+|(?:{_HEBREW}|{_DIGITS}|{_LETTERS})++)"
_EMOJI: Final = "P[xk]*+V?+"
_TOKEN: Final = re.compile(
    f"(?:_{_X})*+{_RUN}(?:(?:_{_X})++{_RUN})*+(?:_{_X})*+"
    f"|z*+{_EMOJI}(?:z{_EMOJI})*+|#V?k{_X}|(?:R{_X}){{2}}|(?:S{_X})++|[CJ]{_X}"
    "|(?P<nothing>[_xvVzk]++)"  # skipped in one match, which keeps the time linear in the text
)


def analyze(text: str) -> list[str]:
    """Returns the index terms of a text, in order, with repetitions; empty where it has none."""
    # No token spans a space, and most pieces between two of them have been seen before.
    return [
        term for piece in text.split(" ") for term in (_cached_terms(piece) if len(piece) < 64 else _long_terms(piece))
    ]


def _terms(text: str) -> tuple[str, ...]:
    return _terms_of(_tokens(text))


def _long_terms(text: str) -> tuple[str, ...]:
    """Returns the terms of a text that may repeat a short token very often."""
    tokens = list(_tokens(text))
    terms = {token: _terms_of([token]) for token in set(tokens)}
    return tuple(chain.from_iterable(map(terms.__getitem__, tokens)))


def _tokens(text: str) -> Iterator[str]:
    matches = _TOKEN.finditer(text.translate(_CODES))
    return (text[match.start() : match.end()] for match in matches if match.lastgroup is None)


def _terms_of(tokens: Iterable[str]) -> tuple[str, ...]:
    words = (word for token in tokens for word in _pieces(token))
    bare = (word[:-2] if word.endswith(("'s", "’s", "＇s")) else word for word in map(str.lower, words))
    return tuple(stem(word) for word in bare if word not in STOP_WORDS)


_cached_terms: Final = lru_cache(maxsize=1 << 16)(_terms)


def _pieces(word: str) -> list[str]:
    return [word[start : start + MAX_TOKEN_LENGTH] for start in range(0, len(word), MAX_TOKEN_LENGTH)]
