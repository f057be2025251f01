"""Packed products and goals equal those in memory, one by one."""

from __future__ import annotations

import random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.embedded import generate
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.goals.goals import draw_prices, human_goals, synthetic_goals
from hero.envs.webshop.goals.packed import GoalPacker, PackedGoals
from hero.envs.webshop.goals.splits import split_goals
from hero.envs.webshop.products.packed import PackedPrices, PackedProducts, pack_product
from hero.envs.webshop.products.product import Product
from hero.envs.webshop.storage.string_array import StringArray
from hero.errors import DataError
from tests.envs.webshop.test_goals import catalogues, product


def stored(items: list[Product]) -> PackedProducts:
    places = sorted(range(len(items)), key=lambda place: items[place].asin)
    asins = StringArray.of(items[place].asin for place in places)
    return PackedProducts(StringArray.of(map(pack_product, items)), asins, np.array(places, np.int32))


def packed_goals(items: list[Product]) -> PackedGoals:
    packer = GoalPacker()
    for item in items:
        packer.add(item)
    return packer.finish()


@given(catalogues, st.randoms(use_true_random=False))
def test_products_come_back_in_their_order(items: list[Product], order: random.Random) -> None:
    order.shuffle(items)
    found = stored(items)
    assert list(found.items()) == [(item.asin, item) for item in items]
    assert [found.at(place) for place in range(len(found))] == items
    assert "P99" not in found
    with pytest.raises(KeyError, match="P99"):
        found["P99"]


def test_every_field_of_a_product_comes_back() -> None:
    items = list(parse_products(generate("hard")))
    assert list(stored(items).values()) == items
    odd = product("\ud83d", (0.1, 1e300), {"\u2028": (), "": ("\x00",)})
    assert dict(stored([odd])) == {odd.asin: odd}


@given(catalogues, st.integers(), st.booleans(), st.data())
def test_goals_are_those_in_memory(items: list[Product], seed: int, human: bool, data: st.DataObject) -> None:
    rng, again = random.Random(seed), random.Random(seed)
    prices = draw_prices(items, rng)
    expected = (human_goals if human else synthetic_goals)(items, prices, rng)
    found, tabled = stored(items), packed_goals(items)
    drawn = tabled.draw_prices(again)
    assert dict(PackedPrices(found, drawn)) == prices
    goals = tabled.goals(found, "human" if human else "synthetic", drawn, again)
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
