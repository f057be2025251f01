"""What the text of WebShop pages shows, as values. Pure functions of strings; any text is accepted.

Reads the observations that the original calls `text`: segments joined by ` [SEP] `.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from hero.envs.webshop.rules.instruction import GROUP_NAMES

SELECTED: Final = " (selected)"
MOST_RESULTS: Final = 50
"""Results that are read from a page; the original's searches find no more."""
_AMOUNT: Final = re.compile(r"\$([0-9]+(?:\.[0-9]+)?)")
_PAGE: Final = re.compile(r"Page [0-9]+ \(Total results: [0-9]+\)")

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
    return tuple(Item(code, title, prices) for code, title, prices in read if prices)[:MOST_RESULTS]


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
