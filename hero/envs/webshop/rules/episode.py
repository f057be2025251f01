"""A finished WebShop episode with its pages parsed: its instruction, its items, and conclusions from hindsight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hero.envs.webshop.actions import parse_action
from hero.envs.webshop.page_parts import BUY
from hero.envs.webshop.rules.instruction import ParsedInstruction
from hero.envs.webshop.rules.read import ParsedItem, ParsedKind, ParsedPage
from hero.envs.webshop.rules.words import FILLERS, mentions, resemble, words
from hero.types import Trajectory, Turn

CLEARLY: Final = 2
"""Minimum number of words of the instruction by which a title must exceed another to be clearly better."""


def argument(verb: str, action: str) -> str:
    """Returns the lower-case argument of an action with that verb, `search` or `click`; "" for any other text."""
    command = parse_action(action)
    return command.argument if command and command.verb == verb else ""


@dataclass(frozen=True)
class ParsedEpisode:
    """One episode and its pages.

    Attributes:
        pages: one page before each turn and one after the last; None where the text is not a page.
        instruction: the customer's requirements.
    """

    trajectory: Trajectory
    pages: tuple[ParsedPage | None, ...]
    instruction: ParsedInstruction

    @cached_property
    def product_words(self) -> tuple[str, ...]:
        """Words of the instruction that describe the product, and that no page offered as an option."""
        requested = (self.instruction.requested(group).lower() for group in self._groups)
        return self.instruction.product_words(frozenset(requested))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Words of `product_words` that a title must show: after a purchase of full reward, those of its title."""
        if self._bought:
            return tuple(word for word in self.product_words if mentions(self._bought.title, word))
        return self.product_words

    @cached_property
    def opened(self) -> dict[str, ParsedPage]:
        """The item pages that were opened from results pages, by code in lower case."""
        clicks = ((argument("click", turn.action.text), self.pages[at + 1]) for at, turn in self._turns("results"))
        return {code: page for code, page in clicks if page and page.kind == "item"}

    @cached_property
    def listed(self) -> tuple[ParsedItem, ...]:
        """All results that were shown, in order."""
        return tuple(item for page in self.pages if page and page.kind == "results" for item in page.items)

    def fault(self, item: ParsedItem, page: ParsedPage | None) -> str:
        """Returns the reason why an item certainly does not match; "" if it may match.

        Args:
            page: the item's own page, which shows its options; None where it was not opened.
        """
        if self._bought and (item.title, item.prices) == (self._bought.title, self._bought.prices):
            return ""
        if item.prices[0] > self.instruction.bound:
            return "over budget"
        offered = {value.lower() for group in page.groups for value in group} if page else self._requested
        missing = sorted(self._requested - offered)
        if missing and not self.instruction.labelled:
            missing = [value for value in missing if not resemble(value, " ".join(sorted(offered)))]
        return f"no {missing[0]}" if missing else ""

    def missing(self, item: ParsedItem) -> list[str]:
        """Returns the required words that the title does not show."""
        return [word for word in self.required if not mentions(item.title, word)]

    def matching(self, items: Sequence[ParsedItem]) -> ParsedItem | None:
        """Returns the first item that shows everything that is required; None if there is none."""
        return next((item for item in items if self.required and not self.missing(item) and self._may_buy(item)), None)

    def better(self, items: Sequence[ParsedItem], than: ParsedItem) -> ParsedItem | None:
        """Returns the best item, if it shows everything that is required or clearly more of it than another item."""
        best = min(filter(self._may_buy, items), key=lambda item: len(self.missing(item)), default=None)
        if best is None:
            return None
        missing = len(self.missing(best))
        return best if missing == 0 or len(self.missing(than)) - missing >= CLEARLY else None

    def left_out(self, query: str) -> list[str]:
        """Returns the required words that a query does not contain; empty where there was no query."""
        return [word for word in self.required if query and not mentions(query, word)]

    def last_query(self, turn: int) -> str:
        """Returns the last query before a turn; "" if there was none."""
        queries = (argument("search", each.action.text) for at, each in self._turns("search") if at < turn)
        return next(reversed([query for query in queries if query]), "")

    def not_chosen(self, turn: int) -> list[str]:
        """Returns requested option values that the item page of a turn offers and that are not chosen, as shown."""
        page = self.pages[turn]
        requested = map(self.instruction.requested, page.groups) if page else ()
        return [value for value in requested if value and value.lower() not in self.chosen(turn)]

    def may_ask_for(self, value: str, page: ParsedPage) -> bool:
        """Returns whether the instruction may mean an option value of an item page in other words than the page's.

        Where it labels its options (`with color: navy`) it means those and no others, unless full reward came without
        them. Otherwise words of it may stand for the value if they resemble it, or if neither a title nor another
        option explains them.
        """
        rewarded = value in self._rewarded
        if self.instruction.labelled:
            return rewarded and not {option for _, option in self.instruction.labelled} <= self._rewarded
        titles = page.items[0].title if rewarded else self._titles
        return resemble(value, self.instruction.text) or not all(mentions(titles, word) for word in self._unexplained)

    def undecided(self, turn: int, page: ParsedPage) -> bool:
        """Returns whether words of the instruction may stand for values of a group from which none is chosen."""
        if self.instruction.labelled:
            return False
        groups = [group for group in page.groups if self.chosen(turn).isdisjoint(map(str.lower, group))]
        return any(resemble(value, self.instruction.text) for group in groups for value in group)

    def chosen(self, turn: int) -> set[str]:
        """Returns the chosen values of an item page: those that it marks, or else those clicked during the visit."""
        page = self.pages[turn]
        if page is None or page.chosen:
            return {value.lower() for value in page.chosen} if page else set()
        clicked: dict[tuple[str, ...], str] = {}
        for at in self._visit(turn):
            value = argument("click", self.trajectory.turns[at].action.text)
            clicked |= {group: value for group in page.groups if value in map(str.lower, group)}
        return set(clicked.values())

    def read_details(self, turn: int) -> bool:
        """Returns whether any details of the item of a turn were opened before that turn."""
        return any((page := self.pages[at]) and page.kind == "details" for at in self._visit(turn))

    @cached_property
    def bought_without_option(self) -> bool:
        """Whether the episode ended with the purchase of an item whose requested option was not chosen."""
        last = len(self.trajectory.turns) - 1
        bought = argument("click", self.trajectory.turns[last].action.text) == BUY.text.lower()
        return bought and bool(self.not_chosen(last))

    @cached_property
    def _unexplained(self) -> tuple[str, ...]:
        """Words of the instruction that are neither fillers nor part of a recognised option."""
        recognised = [*map(self.instruction.requested, self._groups), *(name for name, _ in self.instruction.named)]
        excluded = FILLERS.union(words(" ".join(recognised)))
        return tuple(word for word in words(self.instruction.text) if word not in excluded)

    @cached_property
    def _bought(self) -> ParsedItem | None:
        """The item of a purchase of full reward; None after any other end."""
        page = self.pages[-2]
        return page.items[0] if self.trajectory.reward >= 1 and page and page.kind == "item" else None

    @cached_property
    def _rewarded(self) -> set[str]:
        """The option values, in lower case, of a purchase of full reward; empty after any other end."""
        return self.chosen(len(self.trajectory.turns) - 1) if self._bought else set()

    @cached_property
    def _titles(self) -> str:
        """All titles that were shown."""
        return " ".join({item.title: None for page in self.pages if page for item in page.items})

    @cached_property
    def _groups(self) -> frozenset[tuple[str, ...]]:
        return frozenset(group for page in self.pages if page for group in page.groups)

    @cached_property
    def _requested(self) -> frozenset[str]:
        """Requested option values that can be distinguished from other words."""
        offered = {value.lower() for group in self._groups for value in group}
        return frozenset(value for _, value in self.instruction.named) | (self.instruction.trailing & offered)

    def _may_buy(self, item: ParsedItem) -> bool:
        return item.prices[1] <= self.instruction.bound and not self.fault(item, self.opened.get(item.code.lower()))

    def _turns(self, kind: ParsedKind) -> Iterable[tuple[int, Turn]]:
        for at, turn in enumerate(self.trajectory.turns):
            if (page := self.pages[at]) and page.kind == kind:
                yield at, turn

    def _visit(self, turn: int) -> range:
        """Returns the turns before a turn that were spent on the same item."""
        start = turn
        while start and (page := self.pages[start - 1]) and page.kind in ("item", "details"):
            start -= 1
        return range(start, turn)
