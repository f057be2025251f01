"""Strings, nodes and states that pages consist of. Light, so that the rules read the same strings that pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

SEPARATOR: Final = " [SEP] "
"""Stands between two nodes in the observation `text`."""
TITLE: Final = "WebShop"
INSTRUCTION: Final = "Instruction:"
RESULTS: Final = "Page {} (Total results: {})"
"""Head of a results page, with the number of the page and of all results."""
PRICE: Final = "Price: "
RATING: Final = "Rating: N.A."
SELECTED: Final = " (selected)"
"""Suffix of a selected option in the observation `text`."""
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


class NodeKind(Enum):
    """The kinds of node; all but `TEXT` can be clicked."""

    TEXT = auto()
    BUTTON = auto()
    LINK = auto()
    OPTION = auto()


class Node(NamedTuple):
    """One piece of a page.

    Attributes:
        group: option group of an option, else "".
        chosen: whether an option is selected, or a link was followed since the last search page.
    """

    kind: NodeKind
    text: str
    group: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The page that a shopper is on. Fields that the page does not need keep their values.

    Attributes:
        query: the last query, in lower case.
        number: number of the page of results, from 1.
        asin: asin of the last opened product; "" before the first.
        visited: asins of the products that were opened since the last search page.
        options: chosen values by group, in the order in which the groups were first chosen from.
    """

    page: Page = Page.SEARCH
    query: str = ""
    number: int = 1
    asin: str = ""
    visited: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)


SEARCH: Final = Node(NodeKind.BUTTON, "Search")
BACK: Final = Node(NodeKind.BUTTON, "Back to Search")
PREVIOUS: Final = Node(NodeKind.BUTTON, "< Prev")
NEXT: Final = Node(NodeKind.BUTTON, "Next >")
BUY: Final = Node(NodeKind.BUTTON, "Buy Now")
SUB_PAGES: Final = {
    Node(NodeKind.BUTTON, "Description"): Page.DESCRIPTION,
    Node(NodeKind.BUTTON, "Features"): Page.FEATURES,
    Node(NodeKind.BUTTON, "Reviews"): Page.REVIEWS,
}
