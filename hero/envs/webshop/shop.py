"""A shop: products, their index and the goals of each split, built once per process and shared by all environments."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Final, Literal, NamedTuple

from hero.envs.webshop.catalogue.embedded import generate
from hero.envs.webshop.catalogue.files import PAGE_SIZE, document, locate, products, read_directory
from hero.envs.webshop.catalogue.prepared import INDEX, open_index
from hero.envs.webshop.goals.goals import Goal, draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.goals.packed import GoalTable
from hero.envs.webshop.goals.splits import SplitBy, split_goals
from hero.envs.webshop.products.packed import Prices, Products
from hero.envs.webshop.products.product import Product
from hero.envs.webshop.search.index import Index
from hero.envs.webshop.storage.array_dir import MANIFEST
from hero.errors import DataError
from hero.types import JSON

Wording = Literal["synthetic", "human"]
LARGE: Final = 100_000_000
"""Bytes of an items file that is only read to prepare an index."""
MOST_GOALS: Final = 300_000
"""Synthetic goals that are held in memory, at 500 bytes and their text each; an index makes each when it is due."""
MOST_LETTERS: Final = 100_000_000
"""Characters of their texts."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is on sale, whoever shops.

    Attributes:
        products: by asin.
        splits: by asin; empty for the original's files.
        table: of the goals of products that are decoded one by one; None where all are in memory.
    """

    products: Mapping[str, Product]
    index: Index
    splits: Mapping[str, str]
    page_size: int
    table: GoalTable | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """A stock, the prices that one seed drew for it, and what shoppers want.

    Attributes:
        prices: by asin, dollars.
        goals: by split; a split may be empty.
        tasks: the arguments that chose them, by name.
        data: the directory of the original's files; None for the embedded catalogue.
    """

    stock: Stock
    prices: Mapping[str, float]
    goals: Mapping[str, Sequence[Goal]]
    tasks: Mapping[str, JSON]
    data: Path | None


class _Files(NamedTuple):
    """A directory of the original's files as it is now, a key of caches.

    Attributes:
        stamps: of each file and of the manifest of the index, what changes when it is written: inode, size and time.
    """

    directory: Path
    stamps: tuple[tuple[int, int, int] | None, ...]

    @classmethod
    def now(cls, directory: Path) -> _Files:
        files = (*locate(directory).values(), directory / INDEX / MANIFEST)
        return cls(directory, tuple(map(_stamp, files)))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # whoever reads the file says why
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def open_shop(
    *, level: str, seed: int, data: Path | None, wording: Wording, goal_seed: int, split_by: SplitBy = "goal"
) -> Shop:
    """The shop of one configuration; equal arguments give the same object, as long as no file of `data` was changed.

    Args:
        level: of the embedded catalogue; not looked at with `data`, and neither is `seed`.
        data: a directory of the original's files, resolved; None for the embedded catalogue.
        wording: whether goals are synthetic instructions or human ones.
        goal_seed: fixes the drawn prices and price bounds.
        split_by: how the goals of the original's files are split; not looked at without `data`.

    Raises:
        ConfigError: there is no such level.
        DataError: the files are missing or malformed, or too large without an index, or the index is not theirs.
    """
    files = None if data is None else _Files.now(data)
    return _open_shop(level, seed, files, wording, goal_seed, split_by)


@lru_cache(maxsize=8)
def _open_shop(
    level: str, seed: int, files: _Files | None, wording: Wording, goal_seed: int, split_by: SplitBy
) -> Shop:
    stock = _stock(*((level, seed) if files is None else ("", 0)), files)
    tasks: dict[str, JSON] = {"goals": wording, "goal_seed": goal_seed}
    tasks |= {"level": level, "catalogue_seed": seed} if files is None else {"split_by": split_by}
    data = None if files is None else files.directory
    rng = random.Random(goal_seed)
    if stock.table is not None and isinstance(stock.products, Products):
        drawn = stock.table.draw_prices(rng)
        found = stock.table.goals(stock.products, wording, drawn, rng)
        by_split = found.by_product() if split_by == "product" else split_goals(found, {}, "goal")
        return Shop(stock, Prices(stock.products, drawn), by_split, tasks, data)
    items = list(stock.products.values())
    if files is not None and wording == "synthetic":
        _require_few_goals(items, files.directory)
    prices = draw_prices(items, rng)
    goals = (human_goals if wording == "human" else synthetic_goals)(items, prices, rng)
    return Shop(stock, prices, split_goals(tuple(goals), stock.splits, split_by), tasks, data)


def _require_few_goals(items: Sequence[Product], directory: Path) -> None:
    """Refuses products whose synthetic goals, one for each combination of options, would fill the memory.

    Raises:
        DataError: there are too many, or their texts are too long; the message says what to do.
    """
    counts = {item.asin: prod(map(len, item.options.values())) for item in items if item.synthetic}
    letters = sum(
        counts[item.asin] * (len(item.synthetic.text) + sum(map(_longest, item.options.items())))
        for item in items
        if item.synthetic
    )
    goals = sum(counts.values())
    if goals > MOST_GOALS or letters > MOST_LETTERS:
        raise DataError(
            f"{locate(directory)['items']}: combinations of options make {goals:,} goals with {letters:,} characters "
            f"of text, too many to be made each time; run: hero data webshop --from {directory}"
        )


def _longest(options: tuple[str, Sequence[str]]) -> int:
    """The characters of a group's name and of its longest value."""
    group, values = options
    return len(group) + max(map(len, values), default=0)


@lru_cache(maxsize=8)
def _stock(level: str, seed: int, files: _Files | None) -> Stock:
    data = None if files is None else files.directory
    if data is not None:
        if prepared := open_index(data):
            return Stock(prepared.products, prepared.index, {}, PAGE_SIZE, prepared.goals)
        items_file = locate(data)["items"]
        if items_file.stat().st_size > LARGE:
            raise DataError(f"{items_file} is too large to be read each time; run: hero data webshop --from {data}")
    raw = generate(level, seed) if data is None else read_directory(data)
    items = products(raw)
    try:
        index = Index((item.asin, document(item)) for item in items)
    except DataError as error:
        raise DataError(f"{raw.where('items')}, {error}") from error
    return Stock({item.asin: item for item in items}, index, raw.splits, raw.page_size)
