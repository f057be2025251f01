"""Goals: price bounds, order, and the recorded goals of the original."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.embedded import LEVELS, generate
from hero.envs.webshop.catalogue.files import read_directory
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.goals.goals import NO_BOUND, draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.products.product import Product
from hero.envs.webshop.shop import open_shop
from tests.envs.webshop.files import FILES, write
from tests.envs.webshop.products.strategies import catalogues, product
from tests.envs.webshop.recorded import DATA, FOLDER, needs_recordings


@given(catalogues, st.integers(), st.booleans())
def test_bounds_are_round_near_and_above_the_price(items: list[Product], seed: int, human: bool) -> None:
    rng = random.Random(seed)
    drawn = draw_prices(items, rng)
    for goal in (human_goals if human else synthetic_goals)(items, drawn, rng):
        price = drawn[goal.product.asin]
        assert min(goal.product.prices) <= price <= max(goal.product.prices)
        if goal.price_upper == NO_BOUND:
            assert price >= 980
            assert "price" not in goal.text
        else:
            assert price + 10 < goal.price_upper <= price + 40  # the nearest round price is never the bound
            assert goal.price_upper % 10 == 0
            assert goal.text.endswith(f", and price lower than {goal.price_upper:.2f} dollars")


@given(catalogues, st.integers())
def test_synthetic_goals_are_all_combinations_under_one_bound_a_product(items: list[Product], seed: int) -> None:
    rng = random.Random(seed)
    goals = synthetic_goals(items, draw_prices(items, rng), rng)
    expected: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for item in items:
        chosen: list[tuple[str, ...]] = [()]
        for group in sorted(item.options):
            chosen = [(*so_far, value) for so_far in chosen for value in item.options[group]]
        expected.update((item.asin, values) for values in chosen)
    assert Counter((goal.product.asin, goal.options) for goal in goals) == expected
    assert len({(goal.product.asin, goal.price_upper) for goal in goals}) == len({goal.product.asin for goal in goals})


@given(catalogues, st.integers(), st.integers())
def test_the_seed_moves_bounds_but_not_the_order(items: list[Product], left: int, right: int) -> None:
    def goals(seed: int) -> list[tuple[str, tuple[str, ...], float]]:
        rng = random.Random(seed)
        made = human_goals(items, draw_prices(items, rng), rng)
        return [(goal.product.asin, goal.options, goal.price_upper) for goal in made]

    assert goals(left) == goals(left)
    assert [goal[:2] for goal in goals(left)] == [goal[:2] for goal in goals(right)]


def test_the_order_is_that_of_the_original() -> None:
    items = [product(f"P{index}", (5.0,), {}) for index in range(30)]
    order = list(range(30))
    random.Random(233).shuffle(order)
    rng = random.Random(1)
    goals = synthetic_goals(items, draw_prices(items, rng), rng)
    assert [goal.product.asin for goal in goals] == [f"P{index}" for index in order]


def test_original_files_are_split_by_the_customary_ranges(tmp_path: Path) -> None:
    values = [{"value": f"v{index}"} for index in range(40)]
    files = copy.deepcopy(FILES)
    files["items_shuffle_1000.json"][0]["customization_options"] = {"a": values, "b": values}
    shop = open_shop(level="", seed=0, data=write(tmp_path, files), instruction_kind="synthetic", goal_seed=42)
    assert {split: len(part) for split, part in shop.goals.items()} == {"test": 500, "validation": 1000, "train": 100}
    rng = random.Random(42)
    items = list(shop.inventory.products.values())
    goals = synthetic_goals(items, draw_prices(items, rng), rng)
    assert [*shop.goals["test"], *shop.goals["validation"], *shop.goals["train"]] == goals


def test_texts() -> None:
    item = product("P", (995.0,), {"size": ("10",), "color": ("dark red",)})
    rng = random.Random(0)
    (synthetic,) = synthetic_goals([item], draw_prices([item], rng), rng)
    assert synthetic.text == "Find me a shoe with color: dark red, and size: 10"
    assert (synthetic.groups, synthetic.options) == (("color", "size"), ("dark red", "10"))
    assert {goal.text for goal in human_goals([item], {"P": 995.0}, rng)} == {"i want a shoe", "shoes"}


@pytest.mark.parametrize("level", LEVELS)
def test_the_goals_of_a_split_are_of_its_products(level: str) -> None:
    splits = generate(level).splits
    shop = open_shop(level=level, seed=0, data=None, instruction_kind="human", goal_seed=42)
    for split, goals in shop.goals.items():
        assert goals
        assert {splits[goal.product.asin] for goal in goals} == {split}
    assert sum(map(len, shop.goals.values())) == sum(len(item.human) for item in shop.inventory.products.values())


@needs_recordings
def test_goals_are_those_that_were_recorded() -> None:
    recorded = json.loads((FOLDER / "parity" / "goals_seed42.json").read_text(encoding="utf-8"))
    items = list(parse_products(read_directory(DATA)))
    rng = random.Random(recorded["seed"])
    goals = synthetic_goals(items, draw_prices(items, rng), rng)
    assert len(goals) == recorded["n"] == 6910
    assert [
        {"asin": goal.product.asin, "price_upper": goal.price_upper, "instruction_text": goal.text}
        for goal in goals[:200]
    ] == recorded["first"]
    texts = "\n".join(goal.text for goal in goals)
    assert hashlib.sha256(texts.encode()).hexdigest() == recorded["sha256_all_instructions"]
