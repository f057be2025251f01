"""Shoppers with careless habits, and an oracle that knows the goal, for `benchmarks.rules`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hero.envs.webshop.actions import parse_action
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.page_parts import Page, State
from hero.envs.webshop.reward import score

RATE: Final = 0.7
"""Probability of the careless action where a habit applies."""


class Oracle:
    """Knows the goal of the episode that an environment is playing, and judges actions by it."""

    def __init__(self, env: WebShopEnv) -> None:
        self.env = env

    @property
    def goal(self) -> Goal:
        return self.env._goal

    @property
    def state(self) -> State:
        return self.env._state

    def shown(self) -> list[str]:
        """Returns the codes of the results on the page."""
        return [node.text for node in self.env._clickables.values() if node.text in self.env._shop.inventory.products]

    def serves(self, asin: str) -> bool:
        """Returns whether the product can be bought for full reward."""
        product = self.env._shop.inventory.products[asin]
        options = {group: value for group, values in product.options.items() for value in values if self.asked(value)}
        return score(self.goal, product, options, self.env._shop.prices[asin]).total == 1.0

    def asked(self, value: str) -> bool:
        return value in self.goal.options

    def missing(self) -> list[str]:
        """Returns options of the goal that the product of the page offers and that are not chosen."""
        product = self.env._shop.inventory.products[self.state.asin]
        chosen = set(self.state.options.values())
        return [
            value
            for values in product.options.values()
            for value in values
            if self.asked(value) and value not in chosen
        ]

    def needed(self, value: str) -> bool:
        """Returns whether a purchase of full reward needs the click on a value: of a product, an option, or to buy."""
        product, price = self.env._shop.inventory.products[self.state.asin], self.env._shop.prices[self.state.asin]
        rest = {group: chosen for group, chosen in self.state.options.items() if chosen != value}
        bought = value in ("buy now", product.asin.lower())
        return bought or (rest != self.state.options and score(self.goal, product, rest, price).total < 1.0)

    def finds(self, query: str) -> bool:
        """Returns whether the first page of results has a product that serves."""
        hits = self.env._shop.inventory.index.search(query)[: self.env._shop.inventory.page_size]
        return any(map(self.serves, hits))

    def good(self, action: str) -> bool | None:
        """Returns whether an action leads towards full reward; None where that is a matter of taste."""
        command = parse_action(action)
        if command is None:
            return False
        if command.verb == "search":
            return self.state.page is Page.SEARCH and self.finds(command.argument)
        value = command.argument
        if self.state.page is Page.RESULTS:
            return self._good_on_results(value)
        if self.state.page is Page.ITEM:
            return self._good_on_item(value)
        return None if value in ("< prev", "back to search") else False

    def _good_on_results(self, value: str) -> bool | None:
        codes = {code.lower(): code for code in self.shown()}
        if value in codes:
            return self.serves(codes[value])
        return not any(map(self.serves, codes.values()))

    def _good_on_item(self, value: str) -> bool | None:
        serves = self.serves(self.state.asin)
        if value == "buy now":
            return serves and not self.missing()
        if value in ("< prev", "back to search"):
            return not serves
        if value in ("description", "features", "reviews"):
            return None
        return serves and self.asked(value) and value in self.missing()


Habit = Callable[[Oracle, random.Random, str], str | None]
"""Returns the careless action in a state, given the right query; None where the habit does not apply."""


def few_words(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    words = query.split()
    if oracle.state.page is not Page.SEARCH or len(words) < 2:
        return None
    words.pop(rng.randrange(len(words)))
    return f"search[{' '.join(words)}]"


def first_result(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return f"click[{oracle.shown()[0]}]" if oracle.state.page is Page.RESULTS and oracle.shown() else None


def any_result(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return f"click[{rng.choice(oracle.shown())}]" if oracle.state.page is Page.RESULTS and oracle.shown() else None


def no_options(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    return "click[buy now]" if oracle.state.page is Page.ITEM and oracle.missing() else None


def any_option(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    if oracle.state.page is not Page.ITEM:
        return None
    values = [
        value for group in oracle.env._shop.inventory.products[oracle.state.asin].options.values() for value in group
    ]
    return f"click[{rng.choice(values)}]" if values and rng.random() < 0.5 else None


def wander(oracle: Oracle, rng: random.Random, query: str) -> str | None:
    pool = [value for value in oracle.env._clickables if value not in ("buy now", "search")]
    return f"click[{rng.choice([*pool, 'purple rain'])}]" if rng.random() < 0.5 else None


HABITS: Final[dict[str, tuple[Habit, ...]]] = {
    "careful": (),
    "few words": (few_words,),
    "first result": (first_result,),
    "any result": (any_result,),
    "skips options": (no_options,),
    "any option": (any_option,),
    "wanders": (wander,),
    "all of these": (few_words, any_result, no_options, any_option, wander),
}


@dataclass
class Shopper:
    """Plays well apart from its habits."""

    oracle: Oracle
    habits: tuple[Habit, ...]
    rng: random.Random

    def __call__(self, messages: object) -> str:
        habit = self.rng.choice(self.habits) if self.habits else None
        query = self._query()
        careless = habit(self.oracle, self.rng, query) if habit and self.rng.random() < RATE else None
        return careless or self._careful(query)

    def _query(self) -> str:
        text = re.sub(r",? ?(and )?price lower than .*", "", self.oracle.goal.text.lower())
        fillers = "find me i am looking for a an that is need please show would like to buy with in and".split()
        wanted = [word for word in re.findall(r"[\w-]+", text) if word not in fillers]
        return " ".join(word for word in wanted if not self.oracle.asked(word) and f"{word}s" not in fillers)

    def _careful(self, query: str) -> str:
        oracle, state = self.oracle, self.oracle.state
        if state.page is Page.SEARCH:
            return f"search[{query}]"
        if state.page is Page.RESULTS:
            serving = [code for code in oracle.shown() if oracle.serves(code)]
            return f"click[{serving[0]}]" if serving else "click[back to search]"
        if state.page is Page.ITEM and oracle.serves(state.asin):
            return f"click[{oracle.missing()[0]}]" if oracle.missing() else "click[buy now]"
        return "click[< prev]"
