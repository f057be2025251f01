"""The reward of a purchase, as in the original (WebShop, 2207.01206, section 3 and its code)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz

from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.products.product import Product

COLORS: Final = (
    "alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo "
    "caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream "
    "crystal dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather "
    "indigo ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha "
    "multicolor mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal "
    "rust sand sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise "
    "violet walnut wheat white wine yellow"
).split()
SIMILAR: Final = 85
"""Similarity above which two texts match."""
_DROPPED: Final = dict.fromkeys(range(128, 256))


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward and its parts, named as in the original.

    Attributes:
        total: in [0, 1]; 1 is success.
        r_type: factor for the kind of product: 1, 0.5, 0.1 or 0.
        r_att: share of the goal's attributes that the product has.
        r_option: share of the goal's options that were chosen; None for a goal without options.
        r_price: whether the price is within the bound.
        title_score: share of the nouns of the wanted title in the title of the purchase.
    """

    total: float
    r_type: float
    r_att: float
    r_option: float | None
    r_price: bool
    query_match: bool
    category_match: bool
    title_score: float


def score(goal: Goal, product: Product, options: Mapping[str, str], price: float, *, upstream: bool = False) -> Reward:
    """Computes the reward of a purchase.

    Args:
        options: chosen values by group.
        price: the product's price, in dollars.
        upstream: follows the original, which compares options of synthetic goals with the group as part of the value,
            so that some never match, not even themselves. Without it, equal values match as well, and an empty value,
            which no click can choose, always counts as chosen.
    """
    title_score = _title_score(product, goal.product)
    query_match = product.query == goal.product.query
    category_match = len(_categories(product) & _categories(goal.product)) >= 2
    r_type = 1.0 if query_match or category_match or title_score > 0.2 else 0.5
    if title_score < 0.1:
        r_type = 0.1 if title_score else 0.0
    attributes = sum(_has_attribute(product, attribute) for attribute in goal.attributes)
    matched = sum(met_options(goal, options.values(), upstream=upstream))
    r_price = price <= goal.price_upper
    count = len(goal.attributes) + len(goal.options) + 1
    return Reward(
        total=(attributes + matched + r_price) / count * r_type,
        r_type=r_type,
        r_att=attributes / len(goal.attributes),
        r_option=matched / len(goal.options) if goal.options else None,
        r_price=r_price,
        query_match=query_match,
        category_match=category_match,
        title_score=title_score,
    )


def met_options(goal: Goal, values: Collection[str], *, upstream: bool = False) -> tuple[bool, ...]:
    """Returns for each option of a goal whether one of the chosen values meets it, as `score` counts them."""
    chosen = [normalize_color(value) for value in values]
    wanted = _tuple_texts(goal) if goal.groups else [normalize_color(option) for option in goal.options]
    exact = () if upstream else ("", *values)
    return tuple(
        option in exact or _similar_to_any(chosen, text) for option, text in zip(goal.options, wanted, strict=True)
    )


def normalize_color(value: str) -> str:
    """Returns the first of `COLORS` that occurs anywhere in an option value; the value itself where none does."""
    return next((color for color in COLORS if color in value), value)


@lru_cache(maxsize=65536)
def similarity(a: str, b: str) -> int:
    """Returns thefuzz.fuzz.token_set_ratio, 0 to 100; it ignores case, order, punctuation and Latin-1 letters."""
    return round(fuzz.token_set_ratio(_words(a), _words(b)))


def _words(text: str) -> str:
    return re.sub(r"\W", " ", text.translate(_DROPPED)).strip().lower()


def _similar_to_any(values: Iterable[str], wanted: str) -> bool:
    return any(similarity(value, wanted) > SIMILAR for value in values)


def _tuple_texts(goal: Goal) -> list[str]:
    """Returns the texts that the original compares: pairs of group and value, with colours looked up as members."""
    pairs = zip(goal.groups, goal.options, strict=True)
    return [next((color for color in COLORS if color in pair), str(pair)) for pair in pairs]


def _title_score(bought: Product, wanted: Product) -> float:
    if not wanted.nouns:
        return 0.2
    return len(set(bought.nouns) & set(wanted.nouns)) / len(wanted.nouns)


def _categories(product: Product) -> set[str]:
    return {part.strip() for part in product.product_category.split("›")}


def _has_attribute(product: Product, wanted: str) -> bool:
    if _similar_to_any(product.attributes, wanted):
        return True
    texts = (product.title, " ".join(product.bullets), product.description)
    return any(wanted in text.lower() for text in texts)
