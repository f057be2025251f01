"""A finished WebShop episode with its pages read: what was asked for, what was shown, what hindsight makes of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hero.chat.thoughts import action_input, readings
from hero.envs.webshop.rules.instruction import Wish
from hero.envs.webshop.rules.read import Item, Kind, Page
from hero.envs.webshop.rules.words import FILLERS, mentions, resemble, words
from hero.types import Trajectory, Turn

_ACTION: Final = re.compile(r"(search|click)\[(.+)\]", re.DOTALL | re.IGNORECASE)
CLEARLY: Final = 2
"""By how many words of the instruction a title must exceed another to be clearly better."""


def argument(name: str, action: str) -> str:
    """The lower-cased argument of an action of that name, `search` or `click`; "" for any other text."""
    for text in readings(action):
        if match := _ACTION.fullmatch(text):
            return match[2].strip().lower() if match[1].lower() == name else ""
    named = action_input(action)
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
        if self._bought:
            return tuple(word for word in self.content if mentions(self._bought.title, word))
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
        if self._bought and (item.title, item.prices) == (self._bought.title, self._bought.prices):
            return ""
        if item.prices[0] > self.wish.bound:
            return "over budget"
        offered = {value.lower() for group in page.groups for value in group} if page else self._options
        missing = sorted(self._options - offered)
        if missing and not self.wish.labelled:
            missing = [value for value in missing if not resemble(value, " ".join(sorted(offered)))]
        return f"no {missing[0]}" if missing else ""

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

    def may_ask_for(self, value: str, page: Page) -> bool:
        """Whether the instruction may mean an option value of an item page in other words than those of the page.

        Where it marks its options (`with color: navy`) it means those and no others, unless full reward came without
        them. Else words of it may stand for the value if they resemble it, or if nothing that was shown explains them.
        """
        served = value in self._served
        if self.wish.labelled:
            return served and not {option for _, option in self.wish.labelled} <= self._served
        titles = page.items[0].title if served else self._titles
        return resemble(value, self.wish.text) or not all(mentions(titles, word) for word in self._unread)

    def undecided(self, number: int, page: Page) -> bool:
        """Whether words of the instruction may stand for values of a group from which none is chosen."""
        if self.wish.labelled:
            return False
        groups = [group for group in page.groups if self.chosen(number).isdisjoint(map(str.lower, group))]
        return any(resemble(value, self.wish.text) for group in groups for value in group)

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
    def _unread(self) -> tuple[str, ...]:
        """The words of the instruction that are neither fillers nor in an option that it asks for as pages write it."""
        read = [*map(self.wish.requested, self._groups), *(name for name, _ in self.wish.named)]
        passed = FILLERS.union(words(" ".join(read)))
        return tuple(word for word in words(self.wish.text) if word not in passed)

    @cached_property
    def _bought(self) -> Item | None:
        """The item of a purchase of full reward; None after any other end."""
        page = self.pages[-2]
        return page.items[0] if self.trajectory.reward >= 1 and page and page.kind == "item" else None

    @cached_property
    def _served(self) -> set[str]:
        """The values, in lower case, that were chosen for a purchase of full reward; empty after any other end."""
        return self.chosen(len(self.trajectory.turns) - 1) if self._bought else set()

    @cached_property
    def _titles(self) -> str:
        """All titles that were shown."""
        return " ".join({item.title: None for page in self.pages if page for item in page.items})

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
