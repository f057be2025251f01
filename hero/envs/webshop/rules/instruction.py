"""Reads the instruction of a WebShop episode. Pure functions of strings; any text is read in linear time."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hero.envs.webshop.rules.words import FILLERS, words

GROUP_NAMES: Final = frozenset(
    "color,size,style,flavor,flavor name,scent,fit type,pattern name,item shape,number of items,volume,power,length,"
    "finish,pack".split(",")
)
"""Known names of option groups. A page shows names and values alike, so only these and the first are recognised."""

_PRICE_BOUND: Final = re.compile(r"price lower than ([0-9]+(?:\.[0-9]+)?) dollars", re.IGNORECASE)
_NAMES: Final = "|".join(sorted(GROUP_NAMES, key=len, reverse=True))
_LABEL: Final = re.compile(rf"\b({_NAMES}): ")
_END: Final = re.compile(rf",(?= and | (?:{_NAMES}): )")
_NAMED: Final = re.compile(rf"(?:, |\bwith |\band )({_NAMES}) ([^\W_]+)")
_TRAILING: Final = re.compile(r"\bin ([^\W_]+)(?=,|$| with | and )")
_BOUNDARY: Final = re.compile(r"(?<![\w-])")
_INSIDE: Final = re.compile(r"[\w-]")


@dataclass(frozen=True)
class ParsedInstruction:
    """The requirements of an instruction.

    Attributes:
        text: the instruction in lower case, without the price.
        bound: highest price in dollars; infinite where the instruction names none.
    """

    text: str
    bound: float

    @classmethod
    def parse(cls, instruction: str) -> ParsedInstruction:
        """Splits an instruction into its price bound and the rest."""
        bounds = list(_PRICE_BOUND.finditer(instruction))
        ends = [0, *(match.end() for match in bounds)]
        pieces = [_without_joint(instruction[end : match.start()]) for end, match in zip(ends, bounds, strict=False)]
        text = "".join([*pieces, instruction[ends[-1] :]]).lower()
        return cls(text, float(bounds[0][1]) if bounds else float("inf"))

    def asks_for(self, value: str) -> bool:
        """Returns whether the instruction contains an option value as whole words."""
        value = value.lower()
        if value not in self._asked:
            self._asked[value] = self._contains(value)
        return self._asked[value]

    def requested(self, group: tuple[str, ...]) -> str:
        """Returns the value of an option group that the instruction asks for; "" if it asks for none.

        A value that it labels takes precedence over one that merely occurs in it, such as the `old fashioned` of a
        cocktail glass.
        """
        labelled = [value for value in group if value.lower() in self._labelled_values]
        return max(labelled or filter(self.asks_for, group), key=len, default="")

    @cached_property
    def labelled(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an option group and a value that are labelled as such: `with color: navy, and size: small`."""
        return tuple(_labelled(self.text))

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an option group and a value that stand together: `color: navy`, or else `with color navy`."""
        return self.labelled or tuple(_NAMED.findall(self.text))

    @cached_property
    def trailing(self) -> frozenset[str]:
        """Words that may be option values by their position alone: `navy` in `a coat in navy`."""
        return frozenset(_TRAILING.findall(self.text))

    def product_words(self, values: frozenset[str]) -> tuple[str, ...]:
        """Returns the words that describe the product, in order, without fillers, option names and option values.

        Args:
            values: option values besides those that are recognised from the instruction alone.
        """
        options = [*values, *self.trailing, *(part for pair in self.named for part in pair)]
        excluded = FILLERS.union(words(" ".join(options)))
        return tuple(word for word in words(self.text) if word not in excluded)

    @cached_property
    def _labelled_values(self) -> frozenset[str]:
        return frozenset(value for _, value in self.labelled)

    @cached_property
    def _asked(self) -> dict[str, bool]:
        """Cached results of `asks_for`."""
        return {}

    def _contains(self, value: str) -> bool:
        at = self.text.find(value) if value else -1
        while at >= 0:
            start, end = _BOUNDARY.match(self.text, at), _INSIDE.match(self.text, at + len(value))
            if start and not end:
                return True
            later = _BOUNDARY.search(self.text, at + 1)
            at = self.text.find(value, later.start()) if later else -1
        return False


def _without_joint(text: str) -> str:
    """Removes from the end of a text what joins a price bound to it: a comma or semicolon, or `and`, or both."""
    bare = text.rstrip()
    if len(bare) < len(text) and bare[-3:].lower() == "and":
        bare = bare[:-3].rstrip()
    return bare[:-1] if bare.endswith((",", ";")) else bare


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yields pairs of a group and a value, which ends at the next pair, at `, and` or at the end, within one line."""
    text = text.removesuffix("\n")
    ends = [match.start() for match in _END.finditer(text)]
    ends += [len(text) - 1, len(text)] if text.endswith(",") else [len(text)]
    last_end = 0
    for label in _LABEL.finditer(text):
        index = bisect_right(ends, label.end())
        if label.start() >= last_end and index < len(ends) and text.find("\n", label.end(), ends[index]) < 0:
            last_end = ends[index]
            yield label[1], text[label.end() : last_end]
