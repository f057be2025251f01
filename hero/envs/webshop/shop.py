"""A shop: products, their index and the goals of each split, built once per process and shared by all environments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from hero.envs.webshop.catalogue import generate
from hero.envs.webshop.data import Product, RawCatalogue, products, read_directory
from hero.envs.webshop.goals import Goal, draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.search import Index

Wording = Literal["synthetic", "human"]
SplitBy = Literal["goal", "product"]
CUSTOMARY_SPLITS: Final = {"test": slice(0, 500), "validation": slice(500, 1500), "train": slice(1500, None)}
"""Ranges of goals of the original's files, as everybody trains and tests on them."""
PRODUCT_SPLITS: Final = ("test", *["validation"] * 2, *["train"] * 11)
"""Of products, one split in turn: the shares that the customary ranges have of the goals of the 1,000-product set."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is on sale, whoever shops.

    Attributes:
        products: by asin.
        splits: by asin; empty for the original's files.
    """

    products: Mapping[str, Product]
    index: Index
    splits: Mapping[str, str]
    page_size: int


@dataclass(frozen=True, slots=True)
class Shop:
    """A stock, the prices that one seed drew for it, and what shoppers want.

    Attributes:
        prices: by asin, dollars.
        goals: by split; a split may be empty.
    """

    stock: Stock
    prices: Mapping[str, float]
    goals: Mapping[str, tuple[Goal, ...]]


@lru_cache(maxsize=8)
def open_shop(
    *, level: str, seed: int, data: Path | None, wording: Wording, goal_seed: int, split_by: SplitBy = "goal"
) -> Shop:
    """The shop of one configuration; equal arguments give the same object.

    Args:
        level: of the embedded catalogue; not looked at with `data`, and neither is `seed`.
        data: a directory of the original's files, resolved; None for the embedded catalogue.
        wording: whether goals are synthetic instructions or human ones.
        goal_seed: fixes the drawn prices and price bounds.
        split_by: how the goals of the original's files are split; not looked at without `data`.

    Raises:
        ConfigError: there is no such level.
        DataError: the files are missing or malformed.
    """
    stock = _stock(*((level, seed) if data is None else ("", 0)), data)
    rng = random.Random(goal_seed)
    items = list(stock.products.values())
    prices = draw_prices(items, rng)
    goals = (human_goals if wording == "human" else synthetic_goals)(items, prices, rng)
    return Shop(stock, prices, _split(goals, stock.splits, split_by))


@lru_cache(maxsize=8)
def _stock(level: str, seed: int, data: Path | None) -> Stock:
    raw: RawCatalogue = generate(level, seed) if data is None else read_directory(data)
    items = products(raw)
    index = Index((item.asin, _document(item)) for item in items)
    return Stock({item.asin: item for item in items}, index, raw.splits, raw.page_size)


def _document(item: Product) -> str:
    """What the search sees of a product."""
    options = ", and ".join(f"{group}: {', '.join(values)}" for group, values in item.options.items())
    return " ".join([item.title, item.description, *item.bullets[:1], options]).lower()


def product_split(product: Product) -> str:
    """The split of a product of the original's files, whatever else is on sale: drawn by a hash, in `PRODUCT_SPLITS`.

    Products with the same synthetic instruction go together, or its words would be in two splits.
    """
    key = product.asin if product.synthetic is None else product.synthetic.text
    digest = sha256(key.encode(errors="surrogatepass")).digest()
    return PRODUCT_SPLITS[int.from_bytes(digest[:8], "big") % len(PRODUCT_SPLITS)]


def _split(goals: list[Goal], splits: Mapping[str, str], split_by: SplitBy) -> dict[str, tuple[Goal, ...]]:
    if not splits and split_by == "goal":
        return {name: tuple(goals[part]) for name, part in CUSTOMARY_SPLITS.items()}
    found = [splits[goal.product.asin] if splits else product_split(goal.product) for goal in goals]
    return {
        name: tuple(goal for goal, split in zip(goals, found, strict=True) if split == name)
        for name in CUSTOMARY_SPLITS
    }
