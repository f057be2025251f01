"""Goals of a large catalogue: numbers in arrays, each made into a goal on access.

They equal, goal by goal, those that `hero.envs.webshop.goals.goals` makes of the same products with the same generator.

Shapes: N products, S with a synthetic instruction, H with human instructions.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.goals.goals import ORDER_SEED, Goal, draw_bound, human_goal, synthetic_goal
from hero.envs.webshop.goals.splits import SPLITS, product_split
from hero.envs.webshop.products.packed import PackedProducts
from hero.envs.webshop.products.product import Product
from hero.errors import DataError

MAX_GOALS: Final = 50_000_000
"""Maximum number of synthetic goals; their order takes 4 bytes and a microsecond each. The original has 8 million."""


@dataclass(frozen=True, slots=True)
class PackedGoals:
    """The facts about all products that are needed to draw prices and to number the goals.

    Attributes:
        prices: float64 (N, 2), the price and NaN, or the two ends of a range, in dollars.
        synthetic: int64 (S, 2), index of each product with a synthetic instruction, and the number of combinations of
            its options.
        human: int64 (H, 2), index of each product with human instructions, and the number of these.
        order: int32, the order of all synthetic goals, as the original shuffles them.
        splits: uint8 (N,), index in `SPLITS` of the split of each product.
    """

    prices: NDArray[np.float64]
    synthetic: NDArray[np.int64]
    human: NDArray[np.int64]
    order: NDArray[np.int32]
    splits: NDArray[np.uint8]

    def draw_prices(self, rng: random.Random) -> NDArray[np.float64]:
        """Returns the price of every product, drawn like `goals.draw_prices`."""
        drawn = self.prices[:, 0].copy()
        for index in np.flatnonzero(~np.isnan(self.prices[:, 1])).tolist():
            drawn[index] = rng.uniform(*self.prices[index].tolist())
        return drawn

    def goals(
        self, products: PackedProducts, kind: str, prices: NDArray[np.float64], rng: random.Random
    ) -> GoalSequence:
        """Returns the goals of one kind of instruction, with bounds drawn like `synthetic_goals` or `human_goals`."""
        human = kind == "human"
        indices, counts = (self.human if human else self.synthetic).T
        # A person's instructions each have a bound of their own; the combinations of a product's options share one.
        draws = np.repeat(indices, counts) if human else indices
        uppers = np.array([draw_bound(price, rng) for price in prices[draws].tolist()])
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        order = shuffled(int(starts[-1])) if human else self.order
        return GoalSequence(products, human, indices, starts, uppers, order, self.splits)


class GoalPacker:
    """Makes the packed goals of a catalogue from its products, one by one."""

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
        index = len(self._splits)
        self._splits.append(SPLITS.index(product_split(item)))
        self._prices.extend((item.prices[0], item.prices[1] if len(item.prices) == 2 else np.nan))
        if item.synthetic is not None:
            combinations = prod(map(len, item.options.values()))
            self._goals += combinations
            self._synthetic.extend((index, combinations))
            if self._goals >= MAX_GOALS:
                raise DataError(
                    f"{item.asin}: with its {combinations:,} combinations of options there are {self._goals:,} goals, "
                    f"and {MAX_GOALS:,} are too many; leave the product out"
                )
        if item.human:
            self._human.extend((index, len(item.human)))

    def finish(self) -> PackedGoals:
        """Returns the packed goals of all products; takes about a second for a million goals."""
        return PackedGoals(
            prices=np.array(self._prices).reshape(-1, 2),
            synthetic=np.array(self._synthetic).reshape(-1, 2),
            human=np.array(self._human).reshape(-1, 2),
            order=shuffled(self._goals),
            splits=np.array(self._splits),
        )


@dataclass(frozen=True, eq=False)
class GoalSequence(Sequence[Goal]):
    """Goals in the original's order, each made on access; a slice is lazy, too.

    Attributes:
        human: whether the instructions are human or synthetic.
        indices: indices of the products that have goals.
        starts: number of the first goal of each of these products, and the number of all goals.
        uppers: price bounds in dollars, by goal for human instructions, else by product.
        order: numbers of the goals in this sequence.
        splits: index in `SPLITS` of the split of every product.
    """

    products: PackedProducts
    human: bool
    indices: NDArray[np.int64]
    starts: NDArray[np.int64]
    uppers: NDArray[np.float64]
    order: NDArray[np.int32]
    splits: NDArray[np.uint8]

    def by_product(self) -> dict[str, GoalSequence]:
        """Returns the goals of each split of the products, in the same order."""
        of_goal = self.splits[self.indices[np.searchsorted(self.starts, self.order, side="right") - 1]]
        return {name: replace(self, order=self.order[of_goal == split]) for split, name in enumerate(SPLITS)}

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Goal: ...
    @overload
    def __getitem__(self, index: slice) -> GoalSequence: ...
    def __getitem__(self, index: int | slice) -> Goal | GoalSequence:
        if isinstance(index, slice):
            return replace(self, order=self.order[index])
        number = int(self.order[index])
        row = int(np.searchsorted(self.starts, number, side="right")) - 1
        item = self.products.at(int(self.indices[row]))
        nth = number - int(self.starts[row])
        if self.human:
            return human_goal(item, item.human[nth], float(self.uppers[number]))
        return synthetic_goal(item, _combination(item, nth), float(self.uppers[row]))


def shuffled(count: int) -> NDArray[np.int32]:
    """Returns the numbers below a count in the order into which the original shuffles its goals."""
    numbers = array("i", range(count))
    random.Random(ORDER_SEED).shuffle(numbers)
    return np.frombuffer(numbers, np.int32) if count else np.zeros(0, np.int32)


def _combination(item: Product, nth: int) -> tuple[str, ...]:
    """Returns the nth of itertools.product over the groups of options in the order of their names."""
    chosen = []
    for group in sorted(item.options, reverse=True):
        nth, index = divmod(nth, len(item.options[group]))
        chosen.append(item.options[group][index])
    return tuple(reversed(chosen))
