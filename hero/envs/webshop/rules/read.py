"""Reads the text of WebShop pages into values. Pure functions of strings; any text is accepted.

The text is one of the original's observations: `text`, segments joined by ` [SEP] `, or `text_rich`, one to a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from hero.envs.webshop import page_parts
from hero.envs.webshop.page_parts import INSTRUCTION, PRICE, SELECTED
from hero.envs.webshop.rules.instruction import GROUP_NAMES

MAX_RESULTS: Final = 50
"""Maximum number of results that are read from a page; the original's searches return no more."""
_MARKED: Final = re.compile(r"^\n?(  )?\[(clicked )?button\] (.*) \[(?:clicked )?button_\]$", re.MULTILINE)
"""A line of `text_rich` that can be clicked; an empty one stands before a link, and blanks before an option."""
_CLICKED: Final = re.compile(r"\A(?:You have clicked .*\n)+")
"""The head of `text_rich`, which names the selected options."""
_AMOUNT: Final = re.compile(r"\$([0-9]+(?:\.[0-9]+)?)")
_RESULTS: Final = re.compile(re.escape(page_parts.RESULTS).replace(r"\{\}", "[0-9]+"))

ParsedKind = Literal["search", "results", "item", "details"]


@dataclass(frozen=True, slots=True)
class ParsedItem:
    """A product as a page shows it.

    Attributes:
        code: the text of its link; "" on the product's own page.
        prices: lowest and highest price in dollars; equal where the page shows one price.
    """

    code: str
    title: str
    prices: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """The contents of one page.

    Attributes:
        items: the results of a results page, or the one product of an item page.
        groups: the values of each option group of an item page, as shown.
        chosen: the values among them that are marked as selected.
        empty: whether a details page shows no text.
    """

    kind: ParsedKind
    instruction: str
    items: tuple[ParsedItem, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    chosen: frozenset[str] = frozenset()
    empty: bool = False


def parse_page(text: str) -> ParsedPage | None:
    """Returns the page that an observation shows; None for any other text, the thanks after a purchase included."""
    segments = _rich_segments(text) if _MARKED.search(text) else text.split(page_parts.SEPARATOR)
    parts = [part.strip() for part in segments]
    if INSTRUCTION not in parts[:2] or len(parts) <= parts.index(INSTRUCTION) + 1:
        return None
    start = parts.index(INSTRUCTION) + 1
    instruction, rest = parts[start], parts[start + 1 :]
    if parts[0] == page_parts.TITLE:
        return ParsedPage("search", instruction)
    if rest[:1] != [page_parts.BACK.text]:
        return None
    if len(rest) > 1 and _RESULTS.fullmatch(rest[1]):
        return ParsedPage("results", instruction, _results(rest))
    if rest[1:2] != [page_parts.PREVIOUS.text]:
        return None
    if rest[-1] == page_parts.BUY.text:
        return _item_page(instruction, rest[2:])
    return ParsedPage("details", instruction, empty=len(rest) == 2)


def _rich_segments(text: str) -> list[str]:
    """Returns the segments that the page of a `text_rich` has as `text`."""

    def plain(marked: re.Match[str]) -> str:
        is_option, clicked, value = marked.groups()
        return value.strip() + SELECTED if is_option and clicked else value

    return _MARKED.sub(plain, _CLICKED.sub("", text)).removesuffix("\n").split("\n")


def _results(parts: list[str]) -> tuple[ParsedItem, ...]:
    last_button = page_parts.NEXT.text
    start = parts.index(last_button) + 1 if last_button in parts else len(parts)
    triples = zip(parts[start::3], parts[start + 1 :: 3], parts[start + 2 :: 3], strict=False)
    items = [(code, title, _prices(price)) for code, title, price in triples]
    return tuple(ParsedItem(code, title, prices) for code, title, prices in items if prices)[:MAX_RESULTS]


def _item_page(instruction: str, parts: list[str]) -> ParsedPage | None:
    price_at = next((at for at, part in enumerate(parts) if part.startswith(f"{PRICE}$")), 0)
    prices = _prices(parts[price_at])
    if not price_at or not prices:
        return None
    groups: list[list[str]] = []
    for part in parts[: price_at - 1]:
        if not groups or part in GROUP_NAMES:
            groups.append([])
        else:
            groups[-1].append(part)
    values = tuple(tuple(value.removesuffix(SELECTED) for value in group) for group in groups)
    chosen = frozenset(value.removesuffix(SELECTED) for group in groups for value in group if value.endswith(SELECTED))
    return ParsedPage("item", instruction, (ParsedItem("", parts[price_at - 1], prices),), values, chosen)


def _prices(text: str) -> tuple[float, float] | None:
    amounts = [float(amount) for amount in _AMOUNT.findall(text)]
    return (min(amounts), max(amounts)) if amounts else None
