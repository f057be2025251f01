"""How the wording of one text meets that of another: words, whatever their number, and parts of words."""

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
"""Words of an instruction that say nothing of the product."""
SPELLINGS: Final = {"gray": "grey"} | {
    word: str(number)
    for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
}
LEAST: Final = 3
"""Letters of a part of a word that may stand for it."""
LONGEST: Final = 30
"""Letters of a word that is taken apart."""

_WORD: Final = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
_RUN: Final = re.compile(r"(?<!['’])[^\W\d_]+|\d+(?:[.,]\d+)*")


class Wording(NamedTuple):
    """What may be recognised of a text in another one.

    Attributes:
        words: its words and numbers in one spelling, and neighbours glued: 120, ml and 120ml, whichever it has.
        parts: these, and how words begin and end: black of blackish.
    """

    words: frozenset[str]
    parts: frozenset[str]


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order, in lower case, without repetitions."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))


def mentions(text: str, word: str) -> bool:
    """Whether a text has a word, be it singular or plural."""
    return _singular(word) in _singulars(text)


def resemble(text: str, other: str) -> bool:
    """Whether two texts may mean the same: they share a word, or a part of one, other than fillers."""
    one, two = wording(text), wording(other)
    return not (one.words.isdisjoint(two.parts) and one.parts.isdisjoint(two.words))


@lru_cache(maxsize=4096)
def wording(text: str) -> Wording:
    """What may be recognised of a text."""
    runs = [SPELLINGS.get(run, _singular(run)) for run in _RUN.findall(text.lower())]
    found = {run for run in runs if run not in FILLERS}
    found |= {f"{one}{other}" for one, other in pairwise(runs) if FILLERS.isdisjoint((one, other))}
    short = [run for run in set(runs) if LEAST < len(run) <= LONGEST]
    starts = {run[:end] for run in short for end in range(LEAST, len(run))}
    ends = {run[start:] for run in short for start in range(1, len(run) - LEAST + 1)}
    return Wording(frozenset(found), frozenset((found | starts | ends) - FILLERS))


@lru_cache(maxsize=4096)
def _singulars(text: str) -> frozenset[str]:
    return frozenset(map(_singular, words(text)))


def _singular(word: str) -> str:
    word = word[:-2] if word.endswith(("'s", "’s")) else word
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
