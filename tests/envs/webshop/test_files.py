"""Reading the original's files: what is kept of them, and what is said of files that are wrong."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.files import RawCatalogue, products, read_directory
from hero.envs.webshop.catalogue.prepared import prepare
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.storage.json_stream import Packed
from hero.errors import DataError
from tests.envs.webshop.files import FILES, ITEM, write
from tests.platforms import make_link, make_pipe


def catalogue(**changes: Any) -> RawCatalogue:
    return RawCatalogue(
        items=[ITEM | changes],
        attributes={},
        human={},
        title_nouns={str(changes.get("asin", ITEM["asin"])): []},
    )


def test_what_is_kept(tmp_path: Path) -> None:
    (product,) = products(read_directory(write(tmp_path, FILES)))
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
    (product,) = products(catalogue(pricing=pricing))
    assert (product.prices, product.price_tag) == (prices, tag)


def test_defaults() -> None:
    (product,) = products(catalogue(customization_options="", small_description="one", full_description=""))
    assert (product.options, product.bullets, product.attributes) == ({}, ("one",), ("DUMMY_ATTR",))
    assert (product.synthetic, product.human) == (None, ())


def test_repeated_and_impossible_asins_are_left_out() -> None:
    raw = catalogue()
    others = [ITEM | {"asin": asin, "name": "other"} for asin in (ITEM["asin"], "nan", "B0000000012")]
    assert [item.title for item in products(RawCatalogue([ITEM, *others], {}, {}, raw.title_nouns))] == ["Red Shoe"]


@given(
    st.sampled_from("asin name full_description small_description product_category category query".split()),
    st.sampled_from([None, 5, {"a": 1}, [1]]),
)
def test_records_that_are_wrong_are_named(key: str, value: Any) -> None:
    for item in ({name: kept for name, kept in ITEM.items() if name != key}, ITEM | {key: value}):
        raw = RawCatalogue(items=[item], attributes={}, human={}, title_nouns={ITEM["asin"]: []})
        with pytest.raises(DataError, match=key) as error:
            products(raw)
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
        products(catalogue(**change))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items_shuffle_1000.json", None, "holds no items_shuffle"),
        ("title_nouns.json", None, "run: hero data webshop"),
        ("items_shuffle.json", [], "items_shuffle.json and items_shuffle_1000.json"),
        ("items_human_ins.json", '{"B0": [', "cannot be read as JSON"),
        ("items_human_ins.json", "[" * 100_000, "cannot be read as JSON"),
        ("items_human_ins.json", "\udcff", "cannot be read as JSON"),
        ("items_shuffle_1000.json", {}, "a list is needed, not a dict"),
        ("items_shuffle_1000.json", [ITEM, 5], "record 1 must be a dict, not a int"),
        ("items_ins_v2_1000.json", {"B000000001": []}, "record 'B000000001' must be a dict"),
        ("items_human_ins.json", {"B000000001": {}}, "record 'B000000001' must be a list"),
        ("items_human_ins.json", {"B000000001": ["x"]}, "human, B000000001"),
        ("items_human_ins.json", {"B000000001": [{}]}, "human, B000000001: 'instruction'"),
        ("items_ins_v2_1000.json", {"B000000001": {}}, "attributes, B000000001: 'attributes'"),
        ("items_ins_v2_1000.json", {"B000000001": {"attributes": [], "instruction": "x"}}, "instruction_attributes"),
        (
            "items_ins_v2_1000.json",
            {"B000000001": {"attributes": [], "instruction": "x", "instruction_attributes": []}},
            "instruction_attributes is empty",
        ),
        ("title_nouns.json", {}, "title_nouns has no 'B000000001'"),
        ("title_nouns.json", {"B000000001": [5]}, "title_nouns: 'B000000001'"),
    ],
)
def test_files_that_are_wrong_are_named(tmp_path: Path, name: str, content: Any, message: str) -> None:
    files = copy.deepcopy(FILES)
    if content is None:
        del files[name]
    elif content == "\udcff":
        del files[name]
        (tmp_path / name).write_bytes(b'"\xff"')
    else:
        files[name] = content
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        products(read_directory(write(tmp_path, files)))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("gone", "No such file or directory"), ("file", "Not a directory"), ("loop", "Too many levels of symbolic links")],
)
def test_what_is_no_directory_is_not_said_to_lack_files(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").write_text("")
    make_link(tmp_path / "loop", "loop")
    with pytest.raises(DataError, match=f"{name} cannot be read: {problem}; give a directory that holds"):
        WebShopEnv(data=tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_nowhere_is_not_said_to_be_missing(tmp_path: Path, name: str) -> None:
    (write(tmp_path, FILES) / name).unlink()
    make_link(tmp_path / name, tmp_path / "moved.json")
    with pytest.raises(DataError, match=rf"{name} is a link to .*moved\.json, which does not exist; put"):
        WebShopEnv(data=tmp_path)
    (tmp_path / "moved.json").write_text(json.dumps(FILES[name]))
    assert WebShopEnv(data=tmp_path, goals="human", split="test").num_tasks == 1


@pytest.mark.parametrize("make", [Path.mkdir, make_pipe])
def test_what_is_no_file_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (write(tmp_path, FILES) / "items_human_ins.json").unlink()
    make(tmp_path / "items_human_ins.json")
    with pytest.raises(DataError, match=r"items_human_ins\.json is no file but a directory or the like; put the file"):
        WebShopEnv(data=tmp_path)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("value", [nested(900), nested(100_000), "9" * 5000, "NaN", "-Infinity", '{"a": NaN}', "1e999"])
@pytest.mark.parametrize("key", ["asin", "name", "pricing", "customization_options", "small_description"])
def test_json_that_nobody_means_is_named(tmp_path: Path, key: str, value: str) -> None:
    record = json.dumps(ITEM | {key: "?"}).replace(f'"{key}": "?"', f'"{key}": {value}')
    write(tmp_path, FILES | {"items_shuffle_1000.json": f"[{record}]"})
    for use in (lambda: WebShopEnv(data=tmp_path), lambda: prepare(tmp_path, lambda *_: None)):
        with pytest.raises(DataError, match=r"items_shuffle_1000\.json") as error:
            use()
        assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["items_ins_v2_1000.json", "items_human_ins.json", "title_nouns.json"])
@pytest.mark.parametrize(
    "value", [nested(900), nested(100_000), "9" * 5000, "NaN", f'[{{"instruction": {nested(900)}}}]']
)
def test_records_that_nobody_means_are_named(tmp_path: Path, name: str, value: str) -> None:
    write(tmp_path, FILES | {name: f'{{"B000000001": {value}}}'})
    for use in (lambda: WebShopEnv(data=tmp_path), lambda: prepare(tmp_path, lambda *_: None)):
        with pytest.raises(DataError, match=name.replace(".", r"\.")) as error:
            use()
        assert len(str(error.value)) < 500


def test_a_record_too_deep_to_be_kept_is_named() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        with pytest.raises(DataError, match="record 'B0' cannot be kept: object too deeply nested"):
            Packed([("B0", json.loads(nested(5000)))])
    finally:
        sys.setrecursionlimit(limit)


def test_a_long_key_does_not_make_a_long_message(tmp_path: Path) -> None:
    write(tmp_path, FILES | {"title_nouns.json": {"x" * 100_000: 5}})
    with pytest.raises(DataError, match=r"title_nouns\.json: record 'xxx") as error:
        WebShopEnv(data=tmp_path)
    assert len(str(error.value)) < 500
