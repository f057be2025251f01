"""The two ways of splitting the original's files, and what leaks from split to split in each."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.goals.splits import PRODUCT_SPLITS
from hero.envs.webshop.shop import InstructionKind, Shop, open_shop
from hero.errors import ConfigError, DataError
from tests.envs.webshop.files import FILES, catalogue, write
from tests.envs.webshop.recorded import DATA, needs_recordings

Record = tuple[str, str, Sequence[str]]

records: st.SearchStrategy[list[Record]] = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=()), min_size=1, max_size=6).filter(lambda asin: asin != "nan"),
        st.sampled_from(["Find me shoes", "Find me socks", "Find me \ud800", "", *"abcdefgh"]),
        st.lists(st.sampled_from(["s", "m", "l", "xl"]), unique=True),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda record: record[0],
)
kinds: st.SearchStrategy[InstructionKind] = st.sampled_from(["synthetic", "human"])


def open_records(records: Sequence[Record], kind: InstructionKind, goal_seed: int = 42, **kwargs: Any) -> Shop:
    with TemporaryDirectory() as folder:
        data = write(Path(folder), catalogue(records))
        return open_shop(level="", seed=0, data=data, instruction_kind=kind, goal_seed=goal_seed, **kwargs)


def in_order(goals: Mapping[str, Sequence[Goal]]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(goal.product.asin, goal.options, goal.text) for part in goals.values() for goal in part]


@given(records, kinds)
def test_by_product_no_product_and_no_synthetic_instruction_is_in_two_splits(
    records: list[Record], kind: InstructionKind
) -> None:
    shop = open_records(records, kind, split_by="product")
    for one, other in combinations(shop.goals.values(), 2):
        assert not {goal.product.asin for goal in one} & {goal.product.asin for goal in other}
        wishes = [{goal.product.synthetic for goal in part} for part in (one, other)]
        assert not wishes[0] & wishes[1]


@given(records, kinds, st.integers(0, 9))
def test_both_ways_hold_all_goals_in_the_shuffled_order(
    records: list[Record], kind: InstructionKind, goal_seed: int
) -> None:
    shuffled = in_order(open_records(records, kind, goal_seed).goals)
    position = {goal: index for index, goal in enumerate(shuffled)}
    by_product = open_records(records, kind, goal_seed, split_by="product")
    assert Counter(in_order(by_product.goals)) == Counter(shuffled)
    for part in by_product.goals.values():
        positions = [position[goal] for goal in in_order({"": part})]
        assert positions == sorted(positions)


@given(records, st.randoms(use_true_random=False))
def test_by_product_the_split_follows_from_the_product_alone(records: list[Record], rng: random.Random) -> None:
    def splits(records: list[Record], kind: InstructionKind, goal_seed: int) -> dict[str, str]:
        goals = open_records(records, kind, goal_seed, split_by="product").goals
        return {goal.product.asin: split for split, part in goals.items() for goal in part}

    records = [(asin, text, ["s", *values]) for asin, text, values in records]
    split_of = splits(records, "synthetic", 42)
    others = rng.sample(records, rng.randint(1, len(records)))
    assert splits(others, "human", 7) == {asin: split_of[asin] for asin, *_ in others}


def test_by_product_the_split_is_the_same_in_other_processes() -> None:
    code = (
        "from hero.envs.webshop.catalogue.embedded import generate; "
        "from hero.envs.webshop.catalogue.parse import parse_products; "
        "from hero.envs.webshop.goals.splits import product_split; "
        "print(list(map(product_split, parse_products(generate('easy')))))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": salt}, capture_output=True, text=True, check=True
        ).stdout
        for salt in "12"
    }
    assert len(printed) == 1
    assert all(f"'{split}'" in next(iter(printed)) for split in ("train", "validation", "test"))


def test_by_product_shares_are_those_of_the_customary_ranges() -> None:
    shop = open_records([(f"B{index:09}", f"Find {index}", ["s"]) for index in range(2800)], "synthetic")
    customary = Counter({split: len(part) for split, part in shop.goals.items()})
    assert customary == {"test": 500, "validation": 1000, "train": 1300}
    shares = {split: PRODUCT_SPLITS.count(split) / len(PRODUCT_SPLITS) for split in customary}
    assert [round(100 * share) for share in shares.values()] == [7, 14, 79]
    shop = open_records(
        [(f"B{index:09}", f"Find {index}", ["s"]) for index in range(2800)], "synthetic", split_by="product"
    )
    for split, part in shop.goals.items():
        assert len(part) / 2800 == pytest.approx(shares[split], abs=0.02)


def test_the_environment_takes_either_way_with_the_original_files_alone(tmp_path: Path) -> None:
    products = [(f"B{index:09}", f"Find {index}", ["s"]) for index in range(600)]
    data = write(tmp_path, catalogue(products))
    ways: list[Any] = [None, "goal", "product"]
    tasks = [WebShopEnv(data=data, split="test", split_by=way).num_tasks for way in ways]
    assert tasks[0] == tasks[1] == 500
    assert 20 < tasks[2] < 70
    for way in ways[1:]:
        with pytest.raises(ConfigError, match="split by product as it is"):
            WebShopEnv(split_by=way)


def test_a_catalogue_too_small_for_a_split_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path, FILES)
    split = next(
        split
        for split, part in open_shop(
            level="", seed=0, data=data, instruction_kind="human", goal_seed=42, split_by="product"
        ).goals.items()
        if not part
    )
    with pytest.raises(ConfigError, match=f"split '{split}' holds no human goals"):
        WebShopEnv(data=data, goals="human", split=split, split_by="product")


@needs_recordings
def test_leaks_of_the_1000_product_set() -> None:
    def leaked(shop: Shop, split: str) -> dict[str, int]:
        train, part = shop.goals["train"], shop.goals[split]
        products, texts = {goal.product.asin for goal in train}, {goal.text for goal in train}
        return {
            "goals": len(part),
            "products": len({goal.product.asin for goal in part}),
            "product in train": sum(goal.product.asin in products for goal in part),
            "text in train": sum(goal.text in texts for goal in part),
        }

    leaks = {}
    ways: tuple[Any, ...] = ("goal", "product")
    for way in ways:
        shop = open_shop(level="", seed=0, data=DATA, instruction_kind="synthetic", goal_seed=42, split_by=way)
        leaks[way] = {split: tuple(leaked(shop, split).values()) for split in ("test", "validation")}
        assert sum(map(len, shop.goals.values())) == 6910
    assert leaks == {
        "goal": {"test": (500, 146, 479, 2), "validation": (1000, 182, 972, 2)},
        "product": {"test": (246, 36, 0, 0), "validation": (956, 58, 0, 0)},
    }


def wide(folder: Path, groups: int, values: int, letters: int = 1, products: int = 1) -> Path:
    """Writes files of products with many combinations of options, each group of which has a long name."""
    options = {f"{group}{'x' * letters}": [{"value": str(value)} for value in range(values)] for group in range(groups)}
    files = catalogue([(f"B00000000{index}", "Find me shoes", ["s"]) for index in range(products)])
    name = "items_shuffle_1000.json"
    return write(folder, files | {name: [item | {"customization_options": options} for item in files[name]]})


@pytest.mark.parametrize(
    "size",
    [
        {"groups": 6, "values": 10, "products": 9},  # a million goals each
        {"groups": 5, "values": 10, "products": 4},  # fewer than the bound each
        {"groups": 5, "values": 10, "letters": 200},  # few, but long ones
    ],
)
def test_goals_that_would_fill_the_memory_are_refused_before_they_are_made(tmp_path: Path, size: Any) -> None:
    data = wide(tmp_path, **size)
    assert sum(file.stat().st_size for file in data.iterdir()) < 40_000
    tracemalloc.start()
    with pytest.raises(DataError, match=rf"items_shuffle_1000\.json: .* goals .* run: hero data webshop --from {data}"):
        WebShopEnv(data=data, split="test")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert WebShopEnv(data=data, split="test", goals="human").num_tasks > 0


def test_as_many_goals_as_memory_allows_are_made(tmp_path: Path) -> None:
    data = wide(tmp_path, groups=2, values=10)
    with patch("hero.envs.webshop.shop.MAX_GOALS", 100), patch("hero.envs.webshop.shop.MAX_CHARACTERS", 100 * 19):
        assert WebShopEnv(data=data, split="test").num_tasks == 100
    for bound in ({"MAX_GOALS": 99}, {"MAX_CHARACTERS": 100 * 19 - 1}):
        with patch.multiple("hero.envs.webshop.shop", **bound), pytest.raises(DataError, match="100 goals with 1,900"):
            WebShopEnv(data=data, split="test", goal_seed=1)
