"""The pages of the shop, as the nodes that a browser would show, and their two renderings as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from hero.envs.webshop.products.product import Product
from hero.envs.webshop.shop import Stock

SEPARATOR: Final = " [SEP] "
CHOSEN: Final = " (selected)"
"""What follows a selected option in `text`."""
THANKS: Final = "Thank you for shopping with us!"


class Page(Enum):
    """The kinds of page."""

    SEARCH = auto()
    RESULTS = auto()
    ITEM = auto()
    DESCRIPTION = auto()
    FEATURES = auto()
    REVIEWS = auto()
    DONE = auto()


class Kind(Enum):
    """What a node is to a shopper; all but `TEXT` can be clicked."""

    TEXT = auto()
    BUTTON = auto()
    LINK = auto()
    OPTION = auto()


class Node(NamedTuple):
    """One piece of a page.

    Attributes:
        group: of an option.
        chosen: an option that is selected, or a link that was followed since the last search page.
    """

    kind: Kind
    text: str
    group: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Where a shopper is. Fields that the page does not need keep what they were.

    Attributes:
        query: what was searched for, lower case.
        number: of the page of results, from 1.
        asin: of the product that is looked at; "" before the first.
        visited: asins of the products that were looked at since the last search page.
        options: chosen values by group, in the order in which the groups were first chosen from.
    """

    page: Page = Page.SEARCH
    query: str = ""
    number: int = 1
    asin: str = ""
    visited: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)


SEARCH: Final = Node(Kind.BUTTON, "Search")
BACK: Final = Node(Kind.BUTTON, "Back to Search")
PREVIOUS: Final = Node(Kind.BUTTON, "< Prev")
NEXT: Final = Node(Kind.BUTTON, "Next >")
BUY: Final = Node(Kind.BUTTON, "Buy Now")
GOODBYE: Final = Node(Kind.TEXT, THANKS)
"""All of the last page, which must not tell the reward."""
_ESCAPES: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&'"}
"""Characters that Jinja's filter `tojson`, which writes the options of the original's last page, spells out."""
SUB_PAGES: Final = {
    Node(Kind.BUTTON, "Description"): Page.DESCRIPTION,
    Node(Kind.BUTTON, "Features"): Page.FEATURES,
    Node(Kind.BUTTON, "Reviews"): Page.REVIEWS,
}


def nodes(stock: Stock, wish: str, state: State, *, upstream: bool = False) -> list[Node]:
    """The page that a shopper sees before the purchase, in document order.

    Args:
        wish: the instruction.
        upstream: marks an option as selected where the original does: where its value stands in double quotes in the
            address of the page.
    """
    if state.page is Page.SEARCH:
        return [*_plain("WebShop", "Instruction: ", wish), SEARCH]
    page = [*_plain("Instruction:", wish), BACK]
    if state.page is Page.RESULTS:
        return page + list(_results(stock, state))
    page.append(PREVIOUS)
    product = stock.products[state.asin]
    if state.page is Page.ITEM:
        return page + list(_item(product, state, upstream=upstream))
    if state.page is Page.DESCRIPTION:
        return page + _plain(product.description)
    return page + _plain(*(f" {bullet}" for bullet in product.bullets)) if state.page is Page.FEATURES else page


def upstream_receipt(state: State, reward: float) -> list[Node]:
    """The original's last page, word for word; it shows the reward, and the options in the order of their groups."""
    fields = "asin options attrs price_upper instuction_text category product_category query".split()
    options = json.dumps(state.options, sort_keys=True).translate(_ESCAPES)
    bought = {"asin": state.asin, "options": options}
    purchase = [(name, bought.get(name, "None")) for name in ("asin", "options", "attrs", "category", "query")]
    return _plain(
        *(THANKS, "Your code: ", "None", " (Paste it in your MTurk interface.)", "Purchased"),
        *(text for pair in purchase for text in pair),
        *("product category", "None", "Target"),
        *(name.replace("_", " ") for name in fields),
        *("Goal ", "None", "Reward", "Your score (min 0.0, max 1.0)", str(reward), "Reward Details ", "None"),
    )


def text(page: Iterable[Node], *, show_chosen: bool) -> str:
    """The observation `text`: what is visible, in a row."""
    return SEPARATOR.join(
        words.strip() + CHOSEN if show_chosen and node.chosen and node.kind is Kind.OPTION else words.strip()
        for node, words in _visible(page)
    )


def text_rich(page: Iterable[Node]) -> str:
    """The observation `text_rich`: a line per node, with what can be clicked marked as such."""
    lines = []
    clicked = ""
    for node, words in _visible(page):
        if node.kind is Kind.TEXT:
            lines.append(f"{words}\n")
            continue
        lead = {Kind.BUTTON: "", Kind.LINK: "\n", Kind.OPTION: "  "}[node.kind]
        mark = "clicked button" if node.chosen else "button"
        lines.append(f"{lead}[{mark}] {words} [{mark}_]\n")
        if node.chosen and node.kind is Kind.OPTION:
            clicked = f"You have clicked {words}.\n{clicked}"
    return clicked + "".join(lines)


def clickables(page: Iterable[Node], *, upstream: bool = False) -> dict[str, Node]:
    """What can be clicked, by lower-case text, in the original's order: buttons, links, options.

    Where two have the same text, the first gives the place and the last what happens.

    Args:
        upstream: keeps blanks around an option value; its grammar can say them, ours cannot.
    """
    page = list(page)
    return {
        (node.text if upstream else node.text.strip()).lower(): node
        for kind in (Kind.BUTTON, Kind.LINK, Kind.OPTION)
        for node in page
        if node.kind is kind
    }


def _results(stock: Stock, state: State) -> Iterator[Node]:
    hits = stock.index.search(state.query)
    yield from _plain(f"Page {state.number} (Total results: {len(hits)})")
    if state.number > 1:
        yield PREVIOUS
    yield NEXT
    first = (state.number - 1) * stock.page_size
    for asin in hits[first : first + stock.page_size]:
        product = stock.products[asin]
        yield Node(Kind.LINK, asin, chosen=asin in state.visited)
        yield from _plain(product.title, product.price_tag)


def _item(product: Product, state: State, *, upstream: bool) -> Iterator[Node]:
    address = f"{state.query.replace(' ', '+')}/{state.number}/{json.dumps(state.options)}" if upstream else ""
    for group, values in product.options.items():
        yield from _plain(group)
        for value in values:
            chosen = f'"{value}"' in address if upstream else state.options.get(group) == value
            yield Node(Kind.OPTION, value, group, chosen)
    yield from _plain(product.title, f"Price: {product.price_tag}", "Rating: N.A.")
    yield from SUB_PAGES
    yield BUY


def _plain(*texts: str) -> list[Node]:
    return [Node(Kind.TEXT, words) for words in texts]


def _visible(page: Iterable[Node]) -> Iterator[tuple[Node, str]]:
    """Nodes with the text that is left of them in a browser's document: blank ones shrink, or vanish."""
    for node in page:
        if node.text.strip(" \t\r\n\f"):
            yield node, node.text
        elif node.text and "\n" not in node.text:
            yield node, " "
