"""Packed products equal those in memory, one by one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.embedded import generate
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.products.product import Product
from tests.envs.webshop.products.strategies import catalogues, packed_products, product


@given(catalogues, st.randoms(use_true_random=False))
def test_products_come_back_in_their_order(items: list[Product], order: random.Random) -> None:
    order.shuffle(items)
    packed = packed_products(items)
    assert list(packed.items()) == [(item.asin, item) for item in items]
    assert [packed.at(index) for index in range(len(packed))] == items
    assert "P99" not in packed
    with pytest.raises(KeyError, match="P99"):
        packed["P99"]


def test_every_field_of_a_product_comes_back() -> None:
    items = list(parse_products(generate("hard")))
    assert list(packed_products(items).values()) == items
    odd = product("\ud83d", (0.1, 1e300), {"\u2028": (), "": ("\x00",)})
    assert dict(packed_products([odd])) == {odd.asin: odd}
