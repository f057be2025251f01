"""Goals of a large catalogue: numbers in arrays, of which each becomes a goal when it is looked at.

Equal, goal by goal, to what `hero.envs.webshop.goals.goals` makes of the same products with the same generator.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.goals.goals import ORDER_SEED, Goal, draw_bound, human_goal, synthetic_goal
from hero.envs.webshop.goals.splits import SPLITS, product_split
from hero.envs.webshop.products.packed import Products
from hero.envs.webshop.products.product import Product
from hero.errors import DataError

MOST: Final = 50_000_000
"""Synthetic goals of a catalogue, whose order takes 4 bytes and a microsecond each; the original has 8 million."""


@dataclass(frozen=True, slots=True)
class GoalTable:
    """What must be known of all N products to draw prices and to number the goals.

    Attributes:
        prices: float64 (N, 2), the price and NaN, or the two ends of a range, in dollars.
        synthetic: int64 (S, 2), of each product that has a synthetic instruction: its place, and how many combinations
            of its options there are.
        human: int64 (H, 2), of each product that has human instructions: its place, and how many they are.
        order: int32, the order of all synthetic goals, as the original shuffles them.
        splits: uint8 (N,), the number in `SPLITS` of the split of each product.
    """

    prices: NDArray[np.float64]
    synthetic: NDArray[np.int64]
    human: NDArray[np.int64]
    order: NDArray[np.int32]
    splits: NDArray[np.uint8]

    def draw_prices(self, rng: random.Random) -> NDArray[np.float64]:
        """The price of every product, as `goals.draw_prices` draws them."""
        drawn = self.prices[:, 0].copy()
        for place in np.flatnonzero(~np.isnan(self.prices[:, 1])).tolist():
            drawn[place] = rng.uniform(*self.prices[place].tolist())
        return drawn

    def goals(self, products: Products, wording: str, prices: NDArray[np.float64], rng: random.Random) -> Goals:
        """All goals of one wording, with the bounds that `goals.synthetic_goals` or `goals.human_goals` draws."""
        human = wording == "human"
        wanted = self.human if human else self.synthetic
        # A person's instructions each have a bound of their own; the combinations of a product's options share one.
        draws = np.repeat(wanted[:, 0], wanted[:, 1]) if human else wanted[:, 0]
        uppers = np.array([draw_bound(price, rng) for price in prices[draws].tolist()])
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted[:, 1])])
        order = shuffled(int(starts[-1])) if human else self.order
        return Goals(products, human, wanted[:, 0], starts, uppers, order, self.splits)


class Tabulator:
    """Makes the table of a catalogue from its products, one by one."""

    def __init__(self) -> None:
        self._prices = array("d")
        self._synthetic = array("q")
        self._human = array("q")
        self._splits = array("B")
        self._goals = 0

    def add(self, item: Product) -> None:
        """Adds the next product.

        Raises:
            DataError: there are more goals than can be numbered.
        """
        place = len(self._splits)
        self._splits.append(SPLITS.index(product_split(item)))
        self._prices.extend((item.prices[0], item.prices[1] if len(item.prices) == 2 else np.nan))
        if item.synthetic is not None:
            combinations = prod(map(len, item.options.values()))
            self._goals += combinations
            self._synthetic.extend((place, combinations))
            if self._goals >= MOST:
                raise DataError(f"{item.asin}: with its {combinations:,} combinations of options there are "
                                f"{self._goals:,} goals, and {MOST:,} are too many; leave the product out")  # fmt: skip
        if item.human:
            self._human.extend((place, len(item.human)))

    def finish(self) -> GoalTable:
        """The table of all products; takes about a second for a million goals."""
        return GoalTable(
            prices=np.array(self._prices).reshape(-1, 2),
            synthetic=np.array(self._synthetic).reshape(-1, 2),
            human=np.array(self._human).reshape(-1, 2),
            order=shuffled(self._goals),
            splits=np.array(self._splits),
        )


class Goals(Sequence[Goal]):
    """Goals in the original's order, each made when it is looked at; a slice of them is of the same kind.

    Args:
        human: whether they are human instructions or synthetic ones.
        places: of the products that have goals.
        starts: the number of the first goal of each of these products, and the number of all goals.
        uppers: price bounds in dollars, by goal where they are human, else by product.
        order: numbers of the goals.
        splits: the number of the split of every product of the catalogue.
    """

    def __init__(
        self,
        products: Products,
        human: bool,
        places: NDArray[np.int64],
        starts: NDArray[np.int64],
        uppers: NDArray[np.float64],
        order: NDArray[np.int32],
        splits: NDArray[np.uint8],
    ) -> None:
        self._products = products
        self._human = human
        self._places = places
        self._starts = starts
        self._uppers = uppers
        self._order = order
        self._splits = splits

    def by_product(self) -> dict[str, Goals]:
        """The goals of each split of the products, in the same order."""
        of_goal = self._splits[self._places[np.searchsorted(self._starts, self._order, side="right") - 1]]
        return {name: self._picked(self._order[of_goal == number]) for number, name in enumerate(SPLITS)}

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Goal: ...
    @overload
    def __getitem__(self, index: slice) -> Goals: ...
    def __getitem__(self, index: int | slice) -> Goal | Goals:
        if isinstance(index, slice):
            return self._picked(self._order[index])
        number = int(self._order[index])
        wanted = int(np.searchsorted(self._starts, number, side="right")) - 1
        item = self._products.at(int(self._places[wanted]))
        nth = number - int(self._starts[wanted])
        if self._human:
            return human_goal(item, item.human[nth], float(self._uppers[number]))
        return synthetic_goal(item, _combination(item, nth), float(self._uppers[wanted]))

    def __iter__(self) -> Iterator[Goal]:
        return (self[index] for index in range(len(self)))

    def _picked(self, order: NDArray[np.int32]) -> Goals:
        return Goals(self._products, self._human, self._places, self._starts, self._uppers, order, self._splits)


def shuffled(count: int) -> NDArray[np.int32]:
    """Numbers from 0 in the order in which the original leaves that many goals."""
    numbers = array("i", range(count))
    random.Random(ORDER_SEED).shuffle(numbers)
    return np.frombuffer(numbers, np.int32) if count else np.zeros(0, np.int32)


def _combination(item: Product, nth: int) -> tuple[str, ...]:
    """The nth of itertools.product over the groups of options in the order of their names."""
    chosen = []
    for group in sorted(item.options, reverse=True):
        nth, place = divmod(nth, len(item.options[group]))
        chosen.append(item.options[group][place])
    return tuple(reversed(chosen))
