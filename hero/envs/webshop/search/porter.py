"""The Porter stemmer in Lucene's variant.

Porter, "An algorithm for suffix stripping", Program 14 (1980), with the two departures of Porter's own later programs
(`bli` becomes `ble`, `logi` becomes `log`), and words of one or two letters left alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

Rules = tuple[tuple[str, str], ...]


def _rules(table: str) -> Rules:
    """Parses rules of a suffix and its replacement; the longest suffix comes first."""
    pairs = [tuple(rule.split("/")) for rule in table.split()]
    return tuple(sorted(((old, new) for old, new in pairs), key=lambda pair: -len(pair[0])))


STEP_2: Final = _rules(
    "ational/ate tional/tion enci/ence anci/ance izer/ize bli/ble alli/al entli/ent eli/e ousli/ous ization/ize "
    "ation/ate ator/ate alism/al iveness/ive fulness/ful ousness/ous aliti/al iviti/ive biliti/ble logi/log"
)
STEP_3: Final = _rules("icate/ic ative/ alize/al iciti/ic ical/ic ful/ ness/")
STEP_4: Final = _rules(
    "al/ ance/ ence/ er/ ic/ able/ ible/ ant/ ement/ ment/ ent/ sion/s tion/t ou/ ism/ ate/ iti/ ous/ ive/ ize/"
)
_SUFFIXES: Final = {rules: tuple(old for old, _ in rules) for rules in (STEP_2, STEP_3, STEP_4)}


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Returns the stem of a lower-case word; characters other than a, e, i, o, u and y count as consonants."""
    if len(word) <= 2:
        return word
    word = _inflection(word)
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replace(word, STEP_2, above=0)
    word = _replace(word, STEP_3, above=0)
    word = _replace(word, STEP_4, above=1)
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _short_end(word[:-1])):
            word = word[:-1]
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word


def _inflection(word: str) -> str:
    """Applies steps 1a and 1b: plurals, and the endings of the past and of the participle."""
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            root = word[: -len(suffix)]
            return _repaired(root) if _has_vowel(root) else word
    return word


def _repaired(root: str) -> str:
    """Returns the root of a participle, spelt like its infinitive: hop(p), fil(e), conflat(e)."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if len(root) > 1 and root[-1] == root[-2] and _shape(root)[-1] == "c":
        return root if root[-1] in "lsz" else root[:-1]
    return root + "e" if _measure(root) == 1 and _short_end(root) else root


def _replace(word: str, rules: Rules, above: int) -> str:
    """Applies the rule of the longest suffix of the word, if the measure before the suffix is above a bound."""
    if not word.endswith(_SUFFIXES[rules]):
        return word
    for old, new in rules:
        if word.endswith(old):
            root = word[: len(word) - len(old)]
            # The s or t that `ion` requires belongs to the stem, whose measure decides.
            measured = word[:-3] if old in ("sion", "tion") and rules is STEP_4 else root
            return root + new if _measure(measured) > above else word
    return word


def _shape(text: str) -> str:
    """Returns v or c for each letter; y is a vowel after a consonant."""
    shape = ""
    for letter in text:
        vowel = letter in "aeiou" or (letter == "y" and shape.endswith("c"))
        shape += "v" if vowel else "c"
    return shape


def _measure(text: str) -> int:
    """Returns the number of vowels that are followed by a consonant: the m of the paper."""
    return _shape(text).count("vc")


def _has_vowel(text: str) -> bool:
    return "v" in _shape(text)


def _short_end(text: str) -> bool:
    """Returns whether the text ends in consonant, vowel, consonant, the last not w, x or y."""
    return _shape(text).endswith("cvc") and text[-1] not in "wxy"
