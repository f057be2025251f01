"""Products made from records of the original's files: what is kept of them, and how wrong records are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.files import read_directory
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.catalogue.raw import RawCatalogue
from hero.errors import DataError
from tests.envs.webshop.files import FILES, ITEM, write


def catalogue(**changes: Any) -> RawCatalogue:
    return RawCatalogue(
        items=[ITEM | changes],
        attributes={},
        human={},
        title_nouns={str(changes.get("asin", ITEM["asin"])): []},
    )


def test_fields_of_a_product_come_from_its_record(tmp_path: Path) -> None:
    (product,) = parse_products(read_directory(write(tmp_path, FILES)))
    assert (product.title, product.nouns, product.bullets) == ("Red Shoe", ("shoe",), ("soft ", "light"))
    assert (product.query, product.attributes) == ("red shoes", ("soft",))
    assert product.options == {"size": ("10 | 11", "xl"), "fit": ()}
    assert (product.prices, product.price_tag) == ((1234.5, 2000.0), "$1234.5 to $2000.0")
    assert product.synthetic is not None
    assert product.synthetic.text == "Find me"
    assert [instruction.options for instruction in product.human] == [("xl",)]


@pytest.mark.parametrize(
    ("pricing", "prices", "tag"),
    [
        (None, (100.0,), "$100.0"),
        ("", (100.0,), "$100.0"),
        ("$877.80", (877.8,), "$877.8"),
        ("$3$2$1", (3.0, 2.0), "$3.0 to $2.0"),
        ("from $5 a piece", (5.0,), "$5.0"),
    ],
)
def test_prices(pricing: str | None, prices: tuple[float, ...], tag: str) -> None:
    (product,) = parse_products(catalogue(pricing=pricing))
    assert (product.prices, product.price_tag) == (prices, tag)


def test_defaults() -> None:
    (product,) = parse_products(catalogue(customization_options="", small_description="one", full_description=""))
    assert (product.options, product.bullets, product.attributes) == ({}, ("one",), ("DUMMY_ATTR",))
    assert (product.synthetic, product.human) == (None, ())


def test_repeated_and_impossible_asins_are_left_out() -> None:
    raw = catalogue()
    others = [ITEM | {"asin": asin, "name": "other"} for asin in (ITEM["asin"], "nan", "B0000000012")]
    products = parse_products(RawCatalogue([ITEM, *others], {}, {}, raw.title_nouns))
    assert [product.title for product in products] == ["Red Shoe"]


@given(
    st.sampled_from("asin name full_description small_description product_category category query".split()),
    st.sampled_from([None, 5, {"a": 1}, [1]]),
)
def test_records_that_are_wrong_are_named(key: str, value: Any) -> None:
    for item in ({name: kept for name, kept in ITEM.items() if name != key}, ITEM | {key: value}):
        raw = RawCatalogue(items=[item], attributes={}, human={}, title_nouns={ITEM["asin"]: []})
        with pytest.raises(DataError, match=key) as error:
            list(parse_products(raw))
        assert "items[0]" in str(error.value) if key == "asin" else ITEM["asin"] in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"pricing": "12.5"},
        {"pricing": "$1.2.3"},
        {"pricing": "$" + "9" * 400},
        {"customization_options": {str(group): [{"value": str(n)} for n in range(101)] for group in range(3)}},
        {"pricing": 12.5},
        {"pricing": "$"},
        {"customization_options": "red"},
        {"customization_options": {"Size": [{"image": ""}]}},
        {"customization_options": {"Size": ["red"]}},
        {"customization_options": {"Size": [{"value": 5}]}},
        {"customization_options": {"Size": 5}},
    ],
)
def test_prices_and_options_that_are_wrong(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=f"items, B000000001: {next(iter(change))}"):
        list(parse_products(catalogue(**change)))
