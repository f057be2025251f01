"""What can be read off a finished WebShop episode: which actions its pages show to be right, and what else to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hero.reflect.webshop_text import Item, Page, Wish, mentions, read_page
from hero.types import Finding, Trajectory, Turn, Verdict

CLEARLY: Final = 2
"""By how many words of the instruction a title must exceed another to be clearly better."""
DETAILS: Final = ("description", "features", "reviews", "attributes")

Judgement = tuple[Verdict, str, str]
"""Verdict, cause and advice."""


def judge(trajectory: Trajectory, observations: Sequence[str]) -> dict[int, Finding]:
    """Findings about the turns of a WebShop episode whose pages tell whether the action was right.

    Args:
        observations: what each turn saw, and last what the last turn led to: one more than there are turns.
    """
    pages = tuple(map(read_page, observations))
    first = next((page for page in pages if page), None)
    if first is None:
        return {}
    episode = Episode(trajectory, pages, Wish.read(first.instruction))
    judged = ((number, episode.judged(number)) for number in range(len(trajectory.turns)))
    return {number: Finding(number, *judgement) for number, judgement in judged if judgement}


@dataclass(frozen=True)
class Episode:
    """An episode with its pages read, and hindsight over all of them.

    Attributes:
        pages: one more than there are turns; None where the text is no page.
        wish: what the customer asked for.
    """

    trajectory: Trajectory
    pages: tuple[Page | None, ...]
    wish: Wish

    def judged(self, number: int) -> Judgement | None:
        """What the pages say of one turn; None if nothing."""
        turn, page = self.trajectory.turns[number], self.pages[number]
        if page is None:
            return None
        if turn.info.get("action_valid") is False:
            return Verdict.INVALID, turn.feedback, self.advice(number)
        if query := _argument("search", turn.action.text):
            return self._searched(number, query) if page.kind == "search" else None
        value = _argument("click", turn.action.text)
        if not value:
            return None
        if page.kind == "results":
            return self._chose(number, page, value)
        if page.kind == "item":
            return self._bought(number, page) if value == "buy now" else self._clicked(number, page, value)
        return None

    def advice(self, number: int) -> str:
        """An action that the page of a turn shows to be right there; "" if it shows none."""
        page = self.pages[number]
        if page is None:
            return ""
        if page.kind == "search":
            return f"search[{' '.join(self.content)}]" if self.content else ""
        if page.kind == "results":
            if fitting := self._fitting(page.items):
                return f"click[{fitting.code}]"
            return "click[back to search]" if self._left_out(self._query(number)) else "click[next >]"
        if page.kind == "details" or self._fault(page.items[0], page):
            return "click[< prev]"
        if missing := self._not_chosen(number, page):
            return f"click[{missing[0]}]"
        return "" if self._lacking(page.items[0]) else "click[buy now]"

    def _searched(self, number: int, query: str) -> Judgement | None:
        if left_out := self._left_out(query):
            return Verdict.FAILED, f"leaves out {', '.join(left_out)}", self.advice(number)
        after = self.pages[number + 1]
        return (Verdict.USEFUL, "", "") if after and after.items and self.content else None

    def _chose(self, number: int, page: Page, value: str) -> Judgement | None:
        """Judges a click on a results page."""
        fitting = self._fitting(page.items)
        item = next((item for item in page.items if item.code.lower() == value), None)
        if item is None:
            if fitting:
                return Verdict.UNNECESSARY, "a match is on this page", f"click[{fitting.code}]"
            if value == "back to search" and self._left_out(self._query(number)):
                return Verdict.USEFUL, "", ""
            return None
        if fault := self._fault(item, self._opened.get(value)):
            return Verdict.FAILED, fault, self.advice(number)
        lacking = self._lacking(item)
        if not lacking:
            return Verdict.USEFUL, "", ""
        better = fitting or self._better(page.items, item)
        if better:
            return Verdict.FAILED, f"not {lacking[0]}", f"click[{better.code}]"
        if self._left_out(self._query(number)):
            return Verdict.FAILED, f"not {lacking[0]}", "click[back to search]"
        return None

    def _bought(self, number: int, page: Page) -> Judgement | None:
        item = page.items[0]
        if fault := self._fault(item, page):
            return Verdict.FAILED, fault, "click[< prev]"
        if missing := self._not_chosen(number, page):
            return Verdict.FAILED, f"{missing[0]} not chosen", f"click[{missing[0]}]"
        if self.trajectory.reward >= 1:
            return Verdict.USEFUL, "", ""
        lacking = self._lacking(item)
        if lacking and self._better(self._seen, item):
            return Verdict.FAILED, f"not {lacking[0]}", "click[< prev]"
        if lacking and self._left_out(self._query(number)):
            return Verdict.FAILED, f"not {lacking[0]}", "click[back to search]"
        if not self._looked(number):
            return Verdict.FAILED, "bought without a look at the details", "click[description]"
        return None

    def _clicked(self, number: int, page: Page, value: str) -> Judgement | None:
        """Judges a click on an item page, other than on Buy Now."""
        item = page.items[0]
        fault = self._fault(item, page) or (
            f"not {self._lacking(item)[0]}" if self._lacking(item) and self._better(self._seen, item) else ""
        )
        if value in ("< prev", "back to search"):
            if fault:
                return Verdict.USEFUL, "", ""
            return None if self._lacking(item) else (Verdict.UNNECESSARY, "the item fits", self.advice(number))
        if fault:
            return Verdict.UNNECESSARY, fault, "click[< prev]"
        if value in DETAILS:
            after = self.pages[number + 1]
            return (Verdict.UNNECESSARY, "shows nothing", self.advice(number)) if after and after.empty else None
        group = next((group for group in page.groups if value in map(str.lower, group)), None)
        if group is None:
            return None
        requested = self.wish.requested(group)
        if value in self._chosen(number, page):
            return Verdict.UNNECESSARY, "chosen already", self.advice(number)
        if value == requested.lower():
            return Verdict.USEFUL, "", ""
        cause = f"{requested} is asked for" if requested else "not asked for"
        return Verdict.FAILED if requested else Verdict.UNNECESSARY, cause, self.advice(number)

    @cached_property
    def content(self) -> tuple[str, ...]:
        """The words of the instruction that a title may show: those that no page turned out to offer as an option."""
        return self.wish.content(frozenset(self.wish.requested(group).lower() for group in self._groups))

    @cached_property
    def _groups(self) -> frozenset[tuple[str, ...]]:
        return frozenset(group for page in self.pages if page for group in page.groups)

    @cached_property
    def _options(self) -> frozenset[str]:
        """Requested option values, as far as they can be told from words of another kind."""
        offered = {value.lower() for group in self._groups for value in group}
        return frozenset(value for _, value in self.wish.named) | (self.wish.trailing & offered)

    @cached_property
    def _seen(self) -> tuple[Item, ...]:
        return tuple(item for page in self.pages if page and page.kind == "results" for item in page.items)

    @cached_property
    def _opened(self) -> dict[str, Page]:
        """The item pages of the codes that were clicked."""
        clicks = ((_argument("click", turn.action.text), self.pages[at + 1]) for at, turn in self._turns("results"))
        return {code: page for code, page in clicks if page and page.kind == "item"}

    def _turns(self, kind: str) -> Iterable[tuple[int, Turn]]:
        return (
            (at, turn)
            for at, turn in enumerate(self.trajectory.turns)
            for page in [self.pages[at]]
            if page and page.kind == kind
        )

    def _fault(self, item: Item, page: Page | None) -> str:
        """Why an item surely does not serve; "" if it may. Its page, where it is known, tells the options."""
        if item.prices[0] > self.wish.bound:
            return "over budget"
        offered = {value.lower() for group in page.groups for value in group} if page else self._options
        return next((f"no {value}" for value in sorted(self._options - offered)), "")

    def _lacking(self, item: Item) -> list[str]:
        """The words of the instruction that the title does not show."""
        return [word for word in self.content if not mentions(item.title, word)]

    def _fitting(self, items: Sequence[Item]) -> Item | None:
        """The first item that shows all that is asked for."""
        return next((item for item in items if self.content and not self._lacking(item) and self._may_buy(item)), None)

    def _better(self, items: Sequence[Item], than: Item) -> Item | None:
        """The best item that shows all that is asked for, or clearly more of it than another item."""
        allowed = [item for item in items if self._may_buy(item)]
        best = min(allowed, key=lambda item: len(self._lacking(item)), default=None)
        if best is None:
            return None
        missing = len(self._lacking(best))
        return best if missing == 0 or len(self._lacking(than)) - missing >= CLEARLY else None

    def _may_buy(self, item: Item) -> bool:
        return item.prices[1] <= self.wish.bound and not self._fault(item, self._opened.get(item.code.lower()))

    def _left_out(self, query: str) -> list[str]:
        return [word for word in self.content if not mentions(query, word)]

    def _query(self, number: int) -> str:
        """What was searched for last before a turn."""
        asked = (_argument("search", turn.action.text) for at, turn in self._turns("search") if at < number)
        return next(reversed([query for query in asked if query]), "")

    def _not_chosen(self, number: int, page: Page) -> list[str]:
        """Requested option values of an item page that are not chosen yet, as the page shows them."""
        requested = map(self.wish.requested, page.groups)
        return [value for value in requested if value and value.lower() not in self._chosen(number, page)]

    def _chosen(self, number: int, page: Page) -> set[str]:
        """The chosen values of an item page: those that it marks, or else those that were clicked during the visit."""
        if page.chosen:
            return {value.lower() for value in page.chosen}
        picked: dict[tuple[str, ...], str] = {}
        for at in self._visit(number):
            value = _argument("click", self.trajectory.turns[at].action.text)
            picked |= {group: value for group in page.groups if value in map(str.lower, group)}
        return set(picked.values())

    def _visit(self, number: int) -> range:
        """The turns before a turn that were spent on the same item."""
        start = number
        while start and (page := self.pages[start - 1]) and page.kind in ("item", "details"):
            start -= 1
        return range(start, number)

    def _looked(self, number: int) -> bool:
        return any(_argument("click", self.trajectory.turns[at].action.text) in DETAILS for at in self._visit(number))


def _argument(name: str, action: str) -> str:
    """The lower-cased argument of an action of that name; "" for any other text."""
    match = re.fullmatch(rf"\s*{name}\[(.+)\]\s*", action, re.DOTALL | re.IGNORECASE)
    return match[1].strip().lower() if match else ""
