"""The pages of the shop, as the nodes that a browser would show, and their two renderings as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from hero.envs.webshop import page_parts
from hero.envs.webshop.page_parts import (
    BACK,
    BUY,
    NEXT,
    PREVIOUS,
    SEARCH,
    SELECTED,
    SEPARATOR,
    SUB_PAGES,
    THANKS,
    Node,
    NodeKind,
    Page,
    State,
)
from hero.envs.webshop.products.product import Product
from hero.envs.webshop.shop import Inventory

GOODBYE: Final = Node(NodeKind.TEXT, THANKS)
"""The only node of the last page, which must not reveal the reward."""
_ESCAPES: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&'"}
"""Characters that Jinja's filter `tojson`, which writes the options of the original's last page, escapes."""


def nodes(inventory: Inventory, instruction: str, state: State, *, upstream: bool = False) -> list[Node]:
    """Returns the page that a shopper sees before the purchase, in document order.

    Args:
        upstream: marks an option as selected where the original does: where the address of the page contains its value
            in double quotes.
    """
    if state.page is Page.SEARCH:
        return [*_plain(page_parts.TITLE, f"{page_parts.INSTRUCTION} ", instruction), SEARCH]
    page = [*_plain(page_parts.INSTRUCTION, instruction), BACK]
    if state.page is Page.RESULTS:
        return page + list(_results(inventory, state))
    page.append(PREVIOUS)
    product = inventory.products[state.asin]
    if state.page is Page.ITEM:
        return page + list(_item(product, state, upstream=upstream))
    if state.page is Page.DESCRIPTION:
        return page + _plain(product.description)
    return page + _plain(*(f" {bullet}" for bullet in product.bullets)) if state.page is Page.FEATURES else page


def upstream_receipt(state: State, reward: float) -> list[Node]:
    """Returns the original's last page, word for word; it shows the reward, and the options sorted by group."""
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
    """Renders a page as the observation `text`: its visible text in one line."""
    return SEPARATOR.join(
        words.strip() + SELECTED if show_chosen and node.chosen and node.kind is NodeKind.OPTION else words.strip()
        for node, words in _visible(page)
    )


def text_rich(page: Iterable[Node]) -> str:
    """Renders a page as the observation `text_rich`: one line per node, with marks around what can be clicked."""
    lines = []
    clicked = ""
    for node, words in _visible(page):
        if node.kind is NodeKind.TEXT:
            lines.append(f"{words}\n")
            continue
        lead = {NodeKind.BUTTON: "", NodeKind.LINK: "\n", NodeKind.OPTION: "  "}[node.kind]
        mark = "clicked button" if node.chosen else "button"
        lines.append(f"{lead}[{mark}] {words} [{mark}_]\n")
        if node.chosen and node.kind is NodeKind.OPTION:
            clicked = f"You have clicked {words}.\n{clicked}"
    return clicked + "".join(lines)


def clickables(page: Iterable[Node], *, upstream: bool = False) -> dict[str, Node]:
    """Returns the nodes that can be clicked, by lower-case text, in the original's order: buttons, links, options.

    Where two have the same text, the first sets the position and the last the effect.

    Args:
        upstream: keeps white space around an option value; the original's grammar can express it, ours cannot.
    """
    page = list(page)
    return {
        (node.text if upstream else node.text.strip()).lower(): node
        for kind in (NodeKind.BUTTON, NodeKind.LINK, NodeKind.OPTION)
        for node in page
        if node.kind is kind
    }


def _results(inventory: Inventory, state: State) -> Iterator[Node]:
    hits = inventory.index.search(state.query)
    yield from _plain(page_parts.RESULTS.format(state.number, len(hits)))
    if state.number > 1:
        yield PREVIOUS
    yield NEXT
    first = (state.number - 1) * inventory.page_size
    for asin in hits[first : first + inventory.page_size]:
        product = inventory.products[asin]
        yield Node(NodeKind.LINK, asin, chosen=asin in state.visited)
        yield from _plain(product.title, product.price_tag)


def _item(product: Product, state: State, *, upstream: bool) -> Iterator[Node]:
    address = f"{state.query.replace(' ', '+')}/{state.number}/{json.dumps(state.options)}" if upstream else ""
    for group, values in product.options.items():
        yield from _plain(group)
        for value in values:
            chosen = f'"{value}"' in address if upstream else state.options.get(group) == value
            yield Node(NodeKind.OPTION, value, group, chosen)
    yield from _plain(product.title, f"{page_parts.PRICE}{product.price_tag}", page_parts.RATING)
    yield from SUB_PAGES
    yield BUY


def _plain(*texts: str) -> list[Node]:
    return [Node(NodeKind.TEXT, words) for words in texts]


def _visible(page: Iterable[Node]) -> Iterator[tuple[Node, str]]:
    """Yields nodes with their text in a browser's document: text of white space alone shrinks or vanishes."""
    for node in page:
        if node.text.strip(" \t\r\n\f"):
            yield node, node.text
        elif node.text and "\n" not in node.text:
            yield node, " "
