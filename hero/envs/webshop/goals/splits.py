"""Which goals are for training, and which for telling what was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal

from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.products.product import Product

SplitBy = Literal["goal", "product"]
CUSTOMARY_SPLITS: Final = {"test": slice(0, 500), "validation": slice(500, 1500), "train": slice(1500, None)}
"""Ranges of goals of the original's files, as everybody trains and tests on them."""
SPLITS: Final = tuple(CUSTOMARY_SPLITS)
PRODUCT_SPLITS: Final = ("test", *["validation"] * 2, *["train"] * 11)
"""Of products, one split in turn: the shares that the customary ranges have of the goals of the 1,000-product set."""


def product_split(product: Product) -> str:
    """The split of a product of the original's files, whatever else is on sale: drawn by a hash, in `PRODUCT_SPLITS`.

    Products with the same synthetic instruction go together, or its words would be in two splits.
    """
    key = product.asin if product.synthetic is None else product.synthetic.text
    digest = sha256(key.encode(errors="surrogatepass")).digest()
    return PRODUCT_SPLITS[int.from_bytes(digest[:8], "big") % len(PRODUCT_SPLITS)]


def split_goals(goals: Sequence[Goal], splits: Mapping[str, str], split_by: SplitBy) -> dict[str, Sequence[Goal]]:
    """The goals of each split, in the order of all of them.

    Args:
        splits: of products by asin; empty for the original's files, which are split by `split_by`.
    """
    if not splits and split_by == "goal":
        return {name: goals[part] for name, part in CUSTOMARY_SPLITS.items()}
    found = [splits[goal.product.asin] if splits else product_split(goal.product) for goal in goals]
    return {name: tuple(goal for goal, split in zip(goals, found, strict=True) if split == name) for name in SPLITS}
