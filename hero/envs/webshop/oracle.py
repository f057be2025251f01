"""Tells from the hidden goal which actions bring a purchase of full reward nearer. For measuring only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product

from hero.envs.webshop import pages
from hero.envs.webshop.actions import can_be_named, next_state, parse_action
from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.page_parts import Node, NodeKind, Page, State
from hero.envs.webshop.reward import met_options, score
from hero.envs.webshop.shop import Shop

Rank = tuple[int, int]
"""Distance of a state from a purchase of full reward; the smaller, the nearer."""
ON_PAGE: Rank = (2, 0)
"""Rank of a results page that shows a product of full reward."""


class Oracle:
    """Knows a goal, and the products that earn its full reward with the right options.

    Args:
        upstream: whether the shop is the original's to the letter.
    """

    def __init__(self, shop: Shop, goal: Goal, *, upstream: bool = False) -> None:
        self._shop, self._goal, self._upstream = shop, goal, upstream
        self.states = lru_cache(maxsize=4)(self._states)
        """Returns the states before each of some actions and after the last, from the start of an episode on."""
        self._pages = lru_cache(maxsize=256)(self._full_pages)
        self._fits = lru_cache(maxsize=4096)(self._fits_without_options)
        self._values = lru_cache(maxsize=256)(self._meeting_values)
        self._met = lru_cache(maxsize=4096)(self._met_by)

    def is_right(self, state: State, action: str) -> bool | None:
        """Returns whether an action brings a purchase of reward 1 nearer.

        A query is right if the first page of its results shows a product of full reward. On results, the right way is
        to open one, to turn towards the nearest page with one, and back where no page has any. On the page of such a
        product the right clicks are the fewest on options that are left, and then the purchase; on that of another the
        way back is right: to the results if any page of them has a product of full reward, else back in either way.
        Details are never needed, so that opening them is wrong. So is an action that is not possible.

        Returns:
            None for a goal that its own product cannot meet, since the engine does not say whether another can; there
            only a purchase of reward 1 is right, and an action that is not possible wrong.
        """
        command = parse_action(action, upstream=self._upstream)
        after = next_state(state, command, self._clickables(state), upstream=self._upstream)
        if command is None or after is None:
            return False
        solvable = self._clicks_left(self._goal.product.asin, {}) is not None
        if after.page is Page.DONE:
            earned = self._clicks_left(state.asin, state.options) == 0
            return earned if earned or solvable else None
        if not solvable:
            return None
        nearer = self._rank(after) < self._rank(state)
        return nearer and (command.verb == "click" or self._rank(after) == ON_PAGE)

    def _states(self, actions: tuple[str, ...]) -> tuple[State, ...]:
        states = [State()]
        for action in actions:
            state, command = states[-1], parse_action(action, upstream=self._upstream)
            after = next_state(state, command, self._clickables(state), upstream=self._upstream)
            states.append(state if after is None else after)
        return tuple(states)

    def _clickables(self, state: State) -> Mapping[str, Node]:
        if state.page is Page.DONE:
            return {}
        page = pages.nodes(self._shop.inventory, self._goal.text, state, upstream=self._upstream)
        return pages.clickables(page, upstream=self._upstream)

    def _rank(self, state: State) -> Rank:
        """Returns the rank of a state before the purchase, (5, 0) for the search page."""
        if state.page is Page.SEARCH:
            return 5, 0
        on_item = state.page is Page.ITEM
        if state.page is not Page.RESULTS and (clicks := self._clicks_left(state.asin, state.options)) is not None:
            return (0, clicks) if on_item else (1, 0)
        full = self._pages(state.query)
        if state.page is Page.RESULTS:
            return (2, min(abs(number - state.number) for number in full)) if full else (6, 0)
        return (3 if full else 7) + (not on_item), 0

    def _full_pages(self, query: str) -> frozenset[int]:
        """Returns the numbers of the results pages of a query that show a product of full reward."""
        inventory = self._shop.inventory
        hits = enumerate(inventory.index.search(query))
        return frozenset(1 + at // inventory.page_size for at, asin in hits if self._clicks_left(asin, {}) is not None)

    def _clicks_left(self, asin: str, chosen: Mapping[str, str]) -> int | None:
        """Returns the least number of clicks on options before a purchase of reward 1; None where there is none.

        Args:
            chosen: values that are chosen already, by group.
        """
        if not self._fits(asin):
            return None
        fewest = {self._met(): 0}  # by the set of the goal's options that are met
        for group, values in self._values(asin).items():
            kept = self._met(*(value for name, value in chosen.items() if name == group))
            choices = dict.fromkeys(values, 1) | {kept: 0}
            ways = [
                (met | more, clicks + one) for (met, clicks), (more, one) in product(fewest.items(), choices.items())
            ]
            fewest = dict(sorted(ways, key=lambda way: -way[1]))
        return fewest.get(frozenset(range(len(self._goal.options))))

    def _fits_without_options(self, asin: str) -> bool:
        """Returns whether a product lacks nothing for the full reward but options."""
        item, price = self._shop.inventory.products[asin], self._shop.prices[asin]
        reward = score(self._goal, item, {}, price, upstream=self._upstream)
        return reward.r_type == 1.0 and reward.r_att == 1.0 and reward.r_price

    def _meeting_values(self, asin: str) -> dict[str, set[frozenset[int]]]:
        """Returns by group, for the values that can be clicked, the options of the goal that each of them meets."""
        by_group: dict[str, set[frozenset[int]]] = {
            group: set() for group in self._shop.inventory.products[asin].options
        }
        for name, node in self._clickables(State(page=Page.ITEM, asin=asin)).items():
            if node.kind is NodeKind.OPTION and can_be_named(name, self._upstream):
                by_group[node.group].add(self._met(node.text))
        return by_group

    def _met_by(self, *values: str) -> frozenset[int]:
        """Returns the indices of the goal's options that chosen values meet."""
        met = met_options(self._goal, values, upstream=self._upstream)
        return frozenset(index for index, is_met in enumerate(met) if is_met)
