"""What the instruction of a WebShop episode asks for. Pure functions of strings; any text is read in linear time."""

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
"""Names of option groups. On a page they look like option values, and only these and the first are told apart."""

_PRICE_BOUND: Final = re.compile(r"price lower than ([0-9]+(?:\.[0-9]+)?) dollars", re.IGNORECASE)
_NAMES: Final = "|".join(sorted(GROUP_NAMES, key=len, reverse=True))
_LABEL: Final = re.compile(rf"\b({_NAMES}): ")
_END: Final = re.compile(rf",(?= and | (?:{_NAMES}): )")
_NAMED: Final = re.compile(rf"(?:, |\bwith |\band )({_NAMES}) ([^\W_]+)")
_TRAILING: Final = re.compile(r"\bin ([^\W_]+)(?=,|$| with | and )")
_BOUNDARY: Final = re.compile(r"(?<![\w-])")
_INSIDE: Final = re.compile(r"[\w-]")


@dataclass(frozen=True)
class Wish:
    """What an instruction asks for.

    Attributes:
        text: the instruction in lower case, without the price.
        bound: the price in dollars that is not to be exceeded; infinite where none is named.
    """

    text: str
    bound: float

    @classmethod
    def read(cls, instruction: str) -> Wish:
        """Reads an instruction."""
        bounds = list(_PRICE_BOUND.finditer(instruction))
        ends = [0, *(match.end() for match in bounds)]
        pieces = [_without_joint(instruction[end : match.start()]) for end, match in zip(ends, bounds, strict=False)]
        text = "".join([*pieces, instruction[ends[-1] :]]).lower()
        return cls(text, float(bounds[0][1]) if bounds else float("inf"))

    def asks_for(self, value: str) -> bool:
        """Whether the instruction has an option value as whole words."""
        value = value.lower()
        if value not in self._asked:
            self._asked[value] = self._has(value)
        return self._asked[value]

    def requested(self, group: tuple[str, ...]) -> str:
        """The value of an option group that the instruction asks for; "" if it asks for none.

        A value that it marks goes before one that only its words have, such as the `old fashioned` of a cocktail glass.
        """
        marked = [value for value in group if value.lower() in self._marked]
        return max(marked or filter(self.asks_for, group), key=len, default="")

    @cached_property
    def labelled(self) -> tuple[tuple[str, str], ...]:
        """Option groups and their values, where the wording marks both: `with color: navy, and size: small`."""
        return tuple(_labelled(self.text))

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Option groups and their values, where the wording gives both: `color: navy` or `with color navy`."""
        return self.labelled or tuple(_NAMED.findall(self.text))

    @cached_property
    def trailing(self) -> frozenset[str]:
        """Words that may be option values by their place alone: `navy` in `a coat in navy`."""
        return frozenset(_TRAILING.findall(self.text))

    def content(self, values: frozenset[str]) -> tuple[str, ...]:
        """The words that say what the product is, in order: no fillers, no option names and values.

        Args:
            values: option values besides those that the wording gives away.
        """
        options = [*values, *self.trailing, *(part for pair in self.named for part in pair)]
        passed = FILLERS.union(words(" ".join(options)))
        return tuple(word for word in words(self.text) if word not in passed)

    @cached_property
    def _marked(self) -> frozenset[str]:
        return frozenset(value for _, value in self.labelled)

    @cached_property
    def _asked(self) -> dict[str, bool]:
        """The answers of `asks_for` so far."""
        return {}

    def _has(self, value: str) -> bool:
        place = self.text.find(value) if value else -1
        while place >= 0:
            start, end = _BOUNDARY.match(self.text, place), _INSIDE.match(self.text, place + len(value))
            if start and not end:
                return True
            later = _BOUNDARY.search(self.text, place + 1)
            place = self.text.find(value, later.start()) if later else -1
        return False


def _without_joint(text: str) -> str:
    """The text without what joins a price bound to it: a comma or semicolon, or `and`, or both."""
    bare = text.rstrip()
    if len(bare) < len(text) and bare[-3:].lower() == "and":
        bare = bare[:-3].rstrip()
    return bare[:-1] if bare.endswith((",", ";")) else bare


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of a group and a value, which ends where the next pair, an `and` or the text does, and is in one line."""
    text = text.removesuffix("\n")
    ends = [match.start() for match in _END.finditer(text)]
    ends += [len(text) - 1, len(text)] if text.endswith(",") else [len(text)]
    place = 0
    for label in _LABEL.finditer(text):
        number = bisect_right(ends, label.end())
        if label.start() >= place and number < len(ends) and text.find("\n", label.end(), ends[number]) < 0:
            place = ends[number]
            yield label[1], text[label.end() : place]
