"""What the text of WebShop pages shows, as values. Pure functions of strings; any text is accepted.

Reads the observations that the original calls `text`: segments joined by ` [SEP] `.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal

SELECTED: Final = " (selected)"
GROUP_NAMES: Final = frozenset(
    "color,size,style,flavor,flavor name,scent,fit type,pattern name,item shape,number of items,volume,power,length,"
    "finish,pack".split(",")
)
"""Names of option groups. On a page they look like option values, and only these and the first are told apart."""
FILLERS: Final = frozenset(
    "color flavor size style "
    "a about also am an and any are as at be buy by can could does dollars every feel find for from get give has "
    "have help i if in is it its like look looking lower me my need needs of on one or order place please prefer "
    "price purchase search searching see shop should show some something than that the them there these they this "
    "those to want wants was we what where which will with would you your".split()
)
"""Words of an instruction that say nothing of the product."""

_PRICE_BOUND: Final = re.compile(r"[,;]?\s*(?:and\s+)?price lower than ([0-9]+(?:\.[0-9]+)?) dollars", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"\$([0-9]+(?:\.[0-9]+)?)")
_WORD: Final = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")
_PAGE: Final = re.compile(r"Page [0-9]+ \(Total results: [0-9]+\)")
_NAMES: Final = "|".join(sorted(GROUP_NAMES, key=len, reverse=True))
_LABELLED: Final = re.compile(rf"\b({_NAMES}): (.+?)(?=, and |, (?:{_NAMES}): |,?$)")
_NAMED: Final = re.compile(rf"(?:, |\bwith |\band )({_NAMES}) ([^\W_]+)")
_TRAILING: Final = re.compile(r"\bin ([^\W_]+)(?=,|$| with | and )")

Kind = Literal["search", "results", "item", "details"]


@dataclass(frozen=True, slots=True)
class Item:
    """A product as a page shows it.

    Attributes:
        code: what to click; "" on the product's own page.
        prices: lowest and highest price in dollars; equal where the page shows one price.
    """

    code: str
    title: str
    prices: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        items: the results of a results page, or the one product of an item page.
        groups: the values of each option group of an item page, as shown.
        chosen: the values among them that are marked as selected.
        empty: a details page that shows nothing.
    """

    kind: Kind
    instruction: str
    items: tuple[Item, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    chosen: frozenset[str] = frozenset()
    empty: bool = False


def read_page(text: str) -> Page | None:
    """The page that an observation shows; None for any other text, the thanks after a purchase included."""
    parts = [part.strip() for part in text.split(" [SEP] ")]
    if "Instruction:" not in parts[:2] or len(parts) <= parts.index("Instruction:") + 1:
        return None
    start = parts.index("Instruction:") + 1
    instruction, rest = parts[start], parts[start + 1 :]
    if parts[0] == "WebShop":
        return Page("search", instruction)
    if rest[:1] != ["Back to Search"]:
        return None
    if len(rest) > 1 and _PAGE.fullmatch(rest[1]):
        return Page("results", instruction, _results(rest))
    if rest[1:2] != ["< Prev"]:
        return None
    if rest[-1] == "Buy Now":
        return _item_page(instruction, rest[2:])
    return Page("details", instruction, empty=len(rest) == 2)


def _results(parts: list[str]) -> tuple[Item, ...]:
    start = parts.index("Next >") + 1 if "Next >" in parts else len(parts)
    triples = zip(parts[start::3], parts[start + 1 :: 3], parts[start + 2 :: 3], strict=False)
    read = [(code, title, _prices(price)) for code, title, price in triples]
    return tuple(Item(code, title, prices) for code, title, prices in read if prices)


def _item_page(instruction: str, parts: list[str]) -> Page | None:
    place = next((number for number, part in enumerate(parts) if part.startswith("Price: $")), 0)
    prices = _prices(parts[place])
    if not place or not prices:
        return None
    groups: list[list[str]] = []
    for part in parts[: place - 1]:
        if not groups or part in GROUP_NAMES:
            groups.append([])
        else:
            groups[-1].append(part)
    values = tuple(tuple(value.removesuffix(SELECTED) for value in group) for group in groups)
    chosen = frozenset(value.removesuffix(SELECTED) for group in groups for value in group if value.endswith(SELECTED))
    return Page("item", instruction, (Item("", parts[place - 1], prices),), values, chosen)


def _prices(text: str) -> tuple[float, float] | None:
    amounts = [float(amount) for amount in _AMOUNT.findall(text)]
    return (min(amounts), max(amounts)) if amounts else None


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order, in lower case, without repetitions."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower())))


def mentions(text: str, word: str) -> bool:
    """Whether a text has a word, be it singular or plural."""
    return _singular(word) in {_singular(other) for other in words(text)}


def _singular(word: str) -> str:
    word = re.sub("['’]s$", "", word)
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


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
        match = _PRICE_BOUND.search(instruction)
        text = _PRICE_BOUND.sub("", instruction).lower()
        return cls(text, float(match[1]) if match else float("inf"))

    def asks_for(self, value: str) -> bool:
        """Whether the instruction has an option value as whole words."""
        return bool(re.search(rf"(?<![\w-]){re.escape(value.lower())}(?![\w-])", self.text)) if value else False

    def requested(self, group: tuple[str, ...]) -> str:
        """The value of an option group that the instruction asks for; "" if it asks for none."""
        return max((value for value in group if self.asks_for(value)), key=len, default="")

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Option groups and their values, where the wording gives both: `color: navy` or `with color navy`."""
        return tuple(_LABELLED.findall(self.text) or _NAMED.findall(self.text))

    @cached_property
    def trailing(self) -> frozenset[str]:
        """Words that may be option values by their place alone: `navy` in `a coat in navy`."""
        return frozenset(_TRAILING.findall(self.text))

    def content(self, values: frozenset[str]) -> tuple[str, ...]:
        """The words that say what the product is, in order: no fillers, no option names and values.

        Args:
            values: option values besides those that the wording gives away.
        """
        options = " ".join([*values, *self.trailing, *(part for pair in self.named for part in pair)])
        return tuple(word for word in words(self.text) if word not in FILLERS and word not in words(options))
