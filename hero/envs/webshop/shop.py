"""A shop: products, their index and the goals of each split, built once per process and shared by all environments."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Final, Literal, NamedTuple

from hero.envs.shared import Shared
from hero.envs.webshop.catalogue.disk_index import INDEX, open_index
from hero.envs.webshop.catalogue.embedded import generate
from hero.envs.webshop.catalogue.files import locate, read_directory
from hero.envs.webshop.catalogue.parse import parse_products, search_text
from hero.envs.webshop.catalogue.raw import PAGE_SIZE
from hero.envs.webshop.goals.goals import Goal, draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.goals.packed import PackedGoals
from hero.envs.webshop.goals.splits import SplitBy, split_goals
from hero.envs.webshop.products.packed import PackedPrices, PackedProducts
from hero.envs.webshop.products.product import Product
from hero.envs.webshop.search.index import Index
from hero.envs.webshop.storage.array_dir import MANIFEST
from hero.errors import DataError
from hero.types import JSON

InstructionKind = Literal["synthetic", "human"]
"""Instructions made from a template, or written by people."""
MAX_ITEMS_BYTES: Final = 100_000_000
"""Maximum number of bytes of an items file that can be used without an index."""
MAX_GOALS: Final = 300_000
"""Maximum number of synthetic goals in memory, of 500 bytes and their text each; with an index they are made lazily."""
MAX_CHARACTERS: Final = 100_000_000
"""Maximum number of characters of the texts of these goals."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything on sale, independent of prices and goals.

    Attributes:
        products: products by asin.
        splits: split of each product by asin; empty for the original's files.
        packed_goals: goals of products that are decoded one by one; None where all products are in memory.
    """

    products: Mapping[str, Product]
    index: Index
    splits: Mapping[str, str]
    page_size: int
    packed_goals: PackedGoals | None = None


@dataclass(frozen=True, slots=True)
class Shop(Shared):
    """An inventory with the prices and goals that one seed drew for it.

    Attributes:
        prices: prices by asin, in dollars.
        goals: goals by split; a split may be empty.
        tasks: the arguments that determined the goals, by name.
        data: the directory of the original's files; None for the embedded catalogue.
    """

    inventory: Inventory
    prices: Mapping[str, float]
    goals: Mapping[str, Sequence[Goal]]
    tasks: Mapping[str, JSON]
    data: Path | None


class _DataFiles(NamedTuple):
    """A directory of the original's files in its current state, as a key of caches.

    Attributes:
        stamps: size and modification time of each file, and of the manifest of the index if there is one.
    """

    directory: Path
    stamps: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, directory: Path) -> _DataFiles:
        manifest = directory / INDEX / MANIFEST
        stats = [file.stat() for file in (*locate(directory).values(), *[manifest] * manifest.is_file())]
        return cls(directory, tuple((stat.st_size, stat.st_mtime_ns) for stat in stats))


def open_shop(
    *,
    level: str,
    seed: int,
    data: Path | None,
    instruction_kind: InstructionKind,
    goal_seed: int,
    split_by: SplitBy = "goal",
) -> Shop:
    """Returns the shop of one configuration; equal arguments give the same object until a file of `data` changes.

    Args:
        level: level of the embedded catalogue; ignored with `data`, like `seed`.
        data: a directory of the original's files, resolved; None for the embedded catalogue.
        goal_seed: seed of the drawn prices and price bounds.
        split_by: how the goals of the original's files are split; ignored without `data`.

    Raises:
        ConfigError: there is no such level.
        DataError: the files are missing or malformed, or too large without an index, or the index was made from others.
    """
    files = None if data is None else _DataFiles.of(data)
    return _open_shop(level, seed, files, instruction_kind, goal_seed, split_by)


@lru_cache(maxsize=8)
def _open_shop(
    level: str, seed: int, files: _DataFiles | None, kind: InstructionKind, goal_seed: int, split_by: SplitBy
) -> Shop:
    inventory = _open_inventory(*((level, seed) if files is None else ("", 0)), files)
    tasks: dict[str, JSON] = {"goals": kind, "goal_seed": goal_seed}
    tasks |= {"level": level, "catalogue_seed": seed} if files is None else {"split_by": split_by}
    data = None if files is None else files.directory
    rng = random.Random(goal_seed)
    if inventory.packed_goals is not None and isinstance(inventory.products, PackedProducts):
        drawn = inventory.packed_goals.draw_prices(rng)
        packed = inventory.packed_goals.goals(inventory.products, kind, drawn, rng)
        by_split = packed.by_product() if split_by == "product" else split_goals(packed, {}, "goal")
        return Shop(inventory, PackedPrices(inventory.products, drawn), by_split, tasks, data)
    products = list(inventory.products.values())
    if files is not None and kind == "synthetic":
        _require_few_goals(products, files.directory)
    prices = draw_prices(products, rng)
    goals = (human_goals if kind == "human" else synthetic_goals)(products, prices, rng)
    return Shop(inventory, prices, split_goals(tuple(goals), inventory.splits, split_by), tasks, data)


def _require_few_goals(products: Sequence[Product], directory: Path) -> None:
    """Refuses products whose synthetic goals, one for each combination of options, would fill the memory.

    Raises:
        DataError: there are too many, or their texts are too long.
    """
    goals = characters = 0
    for product in products:
        if product.synthetic is not None:
            combinations = prod(map(len, product.options.values()))
            goals += combinations
            characters += combinations * (len(product.synthetic.text) + sum(map(_longest, product.options.items())))
    if goals > MAX_GOALS or characters > MAX_CHARACTERS:
        raise DataError(
            f"{locate(directory)['items']}: combinations of options make {goals:,} goals with {characters:,} "
            f"characters of text, too many to be made each time; run: hero data webshop --from {directory}"
        )


def _longest(options: tuple[str, Sequence[str]]) -> int:
    """Returns the number of characters of a group's name and of its longest value."""
    group, values = options
    return len(group) + max(map(len, values), default=0)


@lru_cache(maxsize=8)
def _open_inventory(level: str, seed: int, files: _DataFiles | None) -> Inventory:
    data = None if files is None else files.directory
    if data is not None:
        if disk_index := open_index(data):
            return Inventory(disk_index.products, disk_index.index, {}, PAGE_SIZE, disk_index.goals)
        items_file = locate(data)["items"]
        if items_file.stat().st_size > MAX_ITEMS_BYTES:
            raise DataError(f"{items_file} is too large to be read each time; run: hero data webshop --from {data}")
    raw = generate(level, seed) if data is None else read_directory(data)
    products = list(parse_products(raw))
    try:
        index = Index((product.asin, search_text(product)) for product in products)
    except DataError as error:
        raise DataError(f"{raw.where('items')}, {error}") from error
    return Inventory({product.asin: product for product in products}, index, raw.splits, raw.page_size)
