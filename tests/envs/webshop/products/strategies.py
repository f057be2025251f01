"""Products with drawn prices and options."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hero.envs.webshop.products.packed import PackedProducts, pack_product
from hero.envs.webshop.products.product import Instruction, Product
from hero.envs.webshop.storage.string_array import StringArray

prices = st.one_of(st.floats(0.0, 1200.0), st.integers(0, 100).map(lambda tens: 10.0 * tens))
options = st.dictionaries(
    st.sampled_from(["size", "color", "pack"]), st.lists(st.text(max_size=3), max_size=3).map(tuple)
)


def product(asin: str, price: tuple[float, ...], groups: dict[str, tuple[str, ...]]) -> Product:
    return Product(
        asin=asin,
        title="Red shoe",
        nouns=("shoe",),
        description="",
        bullets=(),
        category="fashion",
        query="shoe",
        product_category="a › b",
        attributes=("soft",),
        options=groups,
        prices=price,
        price_tag="",
        synthetic=Instruction("Find me a shoe", ("soft",)),
        human=(Instruction("i want a shoe.", ("soft",), ("red",)), Instruction("shoes", ("soft",))),
    )


catalogues = st.lists(
    st.tuples(st.one_of(st.tuples(prices), st.tuples(prices, prices)), options), min_size=1, max_size=5
).map(lambda drawn: [product(f"P{index}", price, groups) for index, (price, groups) in enumerate(drawn)])


def packed_products(items: list[Product]) -> PackedProducts:
    order = sorted(range(len(items)), key=lambda index: items[index].asin)
    asins = StringArray.of(items[index].asin for index in order)
    return PackedProducts(StringArray.of(map(pack_product, items)), asins, np.array(order, np.int32))
