"""Compares the words of two texts: whole words, singular or plural, and parts of words."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

FILLERS: Final = frozenset(
    "color flavor size style "
    "a about also am an and any are as at be buy by can could does dollars every feel find for from get give has "
    "have help i if in is it its like look looking lower me my need needs of on one or order place please prefer "
    "price purchase search searching see shop should show some something than that the them there these they this "
    "those to want wants was we what where which will with would you your".split()
)
"""Words of an instruction that do not describe the product."""
SPELLINGS: Final = {"gray": "grey"} | {
    word: str(number)
    for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
}
MIN_PART_LENGTH: Final = 3
"""Minimum number of letters of a part of a word that may stand for the word."""
MAX_WORD_LENGTH: Final = 30
"""Maximum number of letters of a word that is split into parts."""

_WORD: Final = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
_RUN: Final = re.compile(r"(?<!['’])[^\W\d_]+|\d+(?:[.,]\d+)*")


class WordForms(NamedTuple):
    """The forms in which the words of a text may appear in another text.

    Attributes:
        words: words and numbers in one spelling, and neighbours glued together: 120, ml and 120ml.
        parts: these, and the beginnings and ends of words: black of blackish.
    """

    words: frozenset[str]
    parts: frozenset[str]


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Returns the words of a text, in order, in lower case, without repetitions."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))


def mentions(text: str, word: str) -> bool:
    """Returns whether a text contains a word, in the singular or the plural."""
    return _singular(word) in _singulars(text)


def resemble(text: str, other: str) -> bool:
    """Returns whether two texts may mean the same: they share a word, or a part of one, other than fillers."""
    first, second = word_forms(text), word_forms(other)
    return not (first.words.isdisjoint(second.parts) and first.parts.isdisjoint(second.words))


@lru_cache(maxsize=4096)
def word_forms(text: str) -> WordForms:
    """Returns the forms of the words of a text."""
    runs = [SPELLINGS.get(run, _singular(run)) for run in _RUN.findall(text.lower())]
    whole = {run for run in runs if run not in FILLERS}
    whole |= {f"{left}{right}" for left, right in pairwise(runs) if FILLERS.isdisjoint((left, right))}
    divisible = [run for run in set(runs) if MIN_PART_LENGTH < len(run) <= MAX_WORD_LENGTH]
    starts = {run[:end] for run in divisible for end in range(MIN_PART_LENGTH, len(run))}
    ends = {run[start:] for run in divisible for start in range(1, len(run) - MIN_PART_LENGTH + 1)}
    return WordForms(frozenset(whole), frozenset((whole | starts | ends) - FILLERS))


@lru_cache(maxsize=4096)
def _singulars(text: str) -> frozenset[str]:
    return frozenset(map(_singular, words(text)))


def _singular(word: str) -> str:
    word = word[:-2] if word.endswith(("'s", "’s")) else word
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
