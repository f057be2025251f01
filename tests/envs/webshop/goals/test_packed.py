"""Packed goals equal those in memory, one by one."""

from __future__ import annotations

import random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.goals.goals import draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.goals.packed import GoalPacker, PackedGoals
from hero.envs.webshop.goals.splits import split_goals
from hero.envs.webshop.products.packed import PackedPrices
from hero.envs.webshop.products.product import Product
from hero.errors import DataError
from tests.envs.webshop.products.strategies import catalogues, packed_products, product


def packed_goals(items: list[Product]) -> PackedGoals:
    packer = GoalPacker()
    for item in items:
        packer.add(item)
    return packer.finish()


@given(catalogues, st.integers(), st.booleans(), st.data())
def test_goals_are_those_in_memory(items: list[Product], seed: int, human: bool, data: st.DataObject) -> None:
    rng, again = random.Random(seed), random.Random(seed)
    prices = draw_prices(items, rng)
    expected = (human_goals if human else synthetic_goals)(items, prices, rng)
    products, packed = packed_products(items), packed_goals(items)
    drawn = packed.draw_prices(again)
    assert dict(PackedPrices(products, drawn)) == prices
    goals = packed.goals(products, "human" if human else "synthetic", drawn, again)
    assert rng.getstate() == again.getstate()
    assert list(goals) == expected
    by_product = {name: list(some) for name, some in goals.by_product().items()}
    assert by_product == {name: list(some) for name, some in split_goals(expected, {}, "product").items()}
    part = data.draw(st.slices(len(expected)))
    assert list(goals[part]) == expected[part]
    assert len(goals[part]) == len(expected[part])


def test_too_many_goals_are_an_error() -> None:
    values = tuple(map(str, range(10)))
    with (
        patch("hero.envs.webshop.goals.packed.MAX_GOALS", 1000),
        pytest.raises(DataError, match=r"^P1: with its 1,000 combinations of options there are 1,001 goals"),
    ):
        packed_goals([product("P0", (5.0,), {}), product("P1", (5.0,), dict.fromkeys("abc", values))])
