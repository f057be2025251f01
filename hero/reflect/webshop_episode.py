"""A finished WebShop episode with its pages read: what was asked for, what was shown, what hindsight makes of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hero.reflect.webshop_text import Item, Kind, Page, Wish, mentions
from hero.thoughts import action_input, readings, without_thoughts
from hero.types import Trajectory, Turn

_ACTION: Final = re.compile(r"(search|click)\[(.+)\]", re.DOTALL | re.IGNORECASE)
CLEARLY: Final = 2
"""By how many words of the instruction a title must exceed another to be clearly better."""


def argument(name: str, action: str) -> str:
    """The lower-cased argument of an action of that name, `search` or `click`; "" for any other text."""
    for text in readings(action):
        if match := _ACTION.fullmatch(text):
            return match[2].strip().lower() if match[1].lower() == name else ""
    named = action_input(without_thoughts(action))
    return named[1].lower() if named and named[0].lower() == name else ""


@dataclass(frozen=True)
class Episode:
    """One episode and its pages.

    Attributes:
        pages: one more than there are turns; None where the text is no page.
        wish: what the customer asked for.
    """

    trajectory: Trajectory
    pages: tuple[Page | None, ...]
    wish: Wish

    @cached_property
    def content(self) -> tuple[str, ...]:
        """The words of the instruction that tell the product: those that no page turned out to offer as an option."""
        return self.wish.content(frozenset(self.wish.requested(group).lower() for group in self._groups))

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """The words of `content` that a title must show: after a purchase of full reward, those of its title."""
        bought = self.pages[-2]
        if self.trajectory.reward >= 1 and bought and bought.kind == "item":
            return tuple(word for word in self.content if mentions(bought.items[0].title, word))
        return self.content

    @cached_property
    def opened(self) -> dict[str, Page]:
        """The item pages of the codes that were clicked on results pages, by code in lower case."""
        clicks = ((argument("click", turn.action.text), self.pages[at + 1]) for at, turn in self._turns("results"))
        return {code: page for code, page in clicks if page and page.kind == "item"}

    @cached_property
    def listed(self) -> tuple[Item, ...]:
        """All results that were shown, in order."""
        return tuple(item for page in self.pages if page and page.kind == "results" for item in page.items)

    def fault(self, item: Item, page: Page | None) -> str:
        """Why an item surely does not serve; "" if it may. Its page, where it is known, tells the options."""
        if item.prices[0] > self.wish.bound:
            return "over budget"
        offered = {value.lower() for group in page.groups for value in group} if page else self._options
        return next((f"no {value}" for value in sorted(self._options - offered)), "")

    def lacking(self, item: Item) -> list[str]:
        """The telling words that the title does not show."""
        return [word for word in self.telling if not mentions(item.title, word)]

    def fitting(self, items: Sequence[Item]) -> Item | None:
        """The first item that shows all that is asked for; None if there is none."""
        return next((item for item in items if self.telling and not self.lacking(item) and self._may_buy(item)), None)

    def better(self, items: Sequence[Item], than: Item) -> Item | None:
        """The best item, if it shows all that is asked for or clearly more of it than another item does."""
        best = min(filter(self._may_buy, items), key=lambda item: len(self.lacking(item)), default=None)
        if best is None:
            return None
        missing = len(self.lacking(best))
        return best if missing == 0 or len(self.lacking(than)) - missing >= CLEARLY else None

    def left_out(self, query: str) -> list[str]:
        """The telling words that a query does not have; empty where there was no query."""
        return [word for word in self.telling if query and not mentions(query, word)]

    def query(self, number: int) -> str:
        """What was searched for last before a turn; "" if nothing."""
        asked = (argument("search", turn.action.text) for at, turn in self._turns("search") if at < number)
        return next(reversed([query for query in asked if query]), "")

    def not_chosen(self, number: int) -> list[str]:
        """Requested option values that the item page of a turn offers and that are not chosen, as it shows them."""
        page = self.pages[number]
        requested = map(self.wish.requested, page.groups) if page else ()
        return [value for value in requested if value and value.lower() not in self.chosen(number)]

    def chosen(self, number: int) -> set[str]:
        """The chosen values of an item page: those that it marks, or else those that were clicked during the visit."""
        page = self.pages[number]
        if page is None or page.chosen:
            return {value.lower() for value in page.chosen} if page else set()
        picked: dict[tuple[str, ...], str] = {}
        for at in self._visit(number):
            value = argument("click", self.trajectory.turns[at].action.text)
            picked |= {group: value for group in page.groups if value in map(str.lower, group)}
        return set(picked.values())

    def read_details(self, number: int) -> bool:
        """Whether any details of the item of a turn were opened before it."""
        return any((page := self.pages[at]) and page.kind == "details" for at in self._visit(number))

    @cached_property
    def bought_without_option(self) -> bool:
        """Whether the episode ended with the purchase of an item whose requested option was not chosen."""
        last = len(self.trajectory.turns) - 1
        return argument("click", self.trajectory.turns[last].action.text) == "buy now" and bool(self.not_chosen(last))

    @cached_property
    def _groups(self) -> frozenset[tuple[str, ...]]:
        return frozenset(group for page in self.pages if page for group in page.groups)

    @cached_property
    def _options(self) -> frozenset[str]:
        """Requested option values, as far as they can be told from words of another kind."""
        offered = {value.lower() for group in self._groups for value in group}
        return frozenset(value for _, value in self.wish.named) | (self.wish.trailing & offered)

    def _may_buy(self, item: Item) -> bool:
        return item.prices[1] <= self.wish.bound and not self.fault(item, self.opened.get(item.code.lower()))

    def _turns(self, kind: Kind) -> Iterable[tuple[int, Turn]]:
        for at, turn in enumerate(self.trajectory.turns):
            if (page := self.pages[at]) and page.kind == kind:
                yield at, turn

    def _visit(self, number: int) -> range:
        """The turns before a turn that were spent on the same item."""
        start = number
        while start and (page := self.pages[start - 1]) and page.kind in ("item", "details"):
            start -= 1
        return range(start, number)
