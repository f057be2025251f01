"""Goals of shoppers, with the price bounds and the order of the original.

The original draws prices and bounds from the global generator and then shuffles under a fixed seed. Here the same
calls in the same order are made on a private generator, so that one seed fixes every price and every bound.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as combinations
from typing import Final

from hero.envs.shared import Shared
from hero.envs.webshop.products.product import Instruction, Product

BOUNDS: Final = range(10, 1000, 10)
NO_BOUND: Final = 1000000.0
ORDER_SEED: Final = 233


@dataclass(frozen=True, slots=True)
class Goal(Shared):
    """One task.

    Attributes:
        product: the product that the goal was made from; another that meets the goal earns the same reward.
        text: the instruction as the shopper reads it, price bound included.
        attributes: required attributes; never empty.
        options: required option values; may be empty.
        groups: the group of each of `options` in a synthetic goal; empty in a human one.
        price_upper: dollars; `NO_BOUND` where the text names no bound.
    """

    product: Product
    text: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    groups: tuple[str, ...]
    price_upper: float


def draw_prices(products: Iterable[Product], rng: random.Random) -> dict[str, float]:
    """Returns the price of each product by asin, in dollars; it is drawn where the product has a price range."""
    return {item.asin: rng.uniform(*item.prices) if len(item.prices) == 2 else item.prices[0] for item in products}


def synthetic_goals(products: Sequence[Product], prices: Mapping[str, float], rng: random.Random) -> list[Goal]:
    """Returns one goal per synthetic instruction and combination of its product's options, in the original's order."""
    goals = []
    for item in products:
        if item.synthetic is not None:
            upper = draw_bound(prices[item.asin], rng)
            values = (item.options[group] for group in sorted(item.options))
            goals += [synthetic_goal(item, options, upper) for options in combinations(*values)]
    return _shuffled(goals)


def human_goals(products: Sequence[Product], prices: Mapping[str, float], rng: random.Random) -> list[Goal]:
    """Returns one goal per human instruction, in the original's order."""
    pairs = [(item, instruction) for item in products for instruction in item.human]
    return _shuffled([human_goal(item, each, draw_bound(prices[item.asin], rng)) for item, each in pairs])


def synthetic_goal(item: Product, options: tuple[str, ...], upper: float) -> Goal:
    """Makes the goal of a product's synthetic instruction and one value of each of its groups, sorted by group."""
    assert item.synthetic is not None
    groups = tuple(sorted(item.options))
    named = ", and ".join(f"{group}: {option}" for group, option in zip(groups, options, strict=True))
    text = f"{item.synthetic.text}{' with ' if named else ''}{named}{_bound_text(upper)}"
    return Goal(item, text, item.synthetic.attributes, options, groups, upper)


def human_goal(item: Product, instruction: Instruction, upper: float) -> Goal:
    """Makes the goal of an instruction that a person wrote for a product."""
    text = instruction.text.strip(".") + _bound_text(upper)
    return Goal(item, text, instruction.attributes, instruction.options, (), upper)


def draw_bound(price: float, rng: random.Random) -> float:
    """Draws an upper bound, in dollars, from the four `BOUNDS` above a price; `NO_BOUND` where there are not two."""
    first = bisect_right(BOUNDS, price)
    candidates = BOUNDS[first : first + 4]
    return NO_BOUND if len(candidates) < 2 else float(max(rng.sample(candidates, 2)))


def _bound_text(upper: float) -> str:
    return "" if upper == NO_BOUND else f", and price lower than {upper:.2f} dollars"


def _shuffled(goals: list[Goal]) -> list[Goal]:
    random.Random(ORDER_SEED).shuffle(goals)
    return goals
