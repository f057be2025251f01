"""Divides goals into training, validation and test goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, Literal

from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.products.product import Product

SplitBy = Literal["goal", "product"]
CUSTOMARY_SPLITS: Final = {"test": slice(0, 500), "validation": slice(500, 1500), "train": slice(1500, None)}
"""Ranges of the goals of the original's files that published results train and test on."""
SPLITS: Final = tuple(CUSTOMARY_SPLITS)
PRODUCT_SPLITS: Final = ("test", *["validation"] * 2, *["train"] * 11)
"""Splits that products are assigned to, with the shares that the customary ranges have of the 1,000-product goals."""


def product_split(product: Product) -> str:
    """Returns the split of a product of the original's files: one of `PRODUCT_SPLITS`, by a hash of the product alone.

    Products with the same synthetic instruction are in one split, or its words would be in two.
    """
    key = product.asin if product.synthetic is None else product.synthetic.text
    digest = sha256(key.encode(errors="surrogatepass")).digest()
    return PRODUCT_SPLITS[int.from_bytes(digest[:8], "big") % len(PRODUCT_SPLITS)]


def split_goals(goals: Sequence[Goal], splits: Mapping[str, str], split_by: SplitBy) -> dict[str, Sequence[Goal]]:
    """Returns the goals by split, in their order.

    Args:
        splits: split of each product by asin; empty for the original's files, which are split by `split_by`.
    """
    if not splits and split_by == "goal":
        return {name: goals[part] for name, part in CUSTOMARY_SPLITS.items()}
    of_goal = [splits[goal.product.asin] if splits else product_split(goal.product) for goal in goals]
    return {name: tuple(goal for goal, split in zip(goals, of_goal, strict=True) if split == name) for name in SPLITS}
