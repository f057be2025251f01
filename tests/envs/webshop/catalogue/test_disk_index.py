"""The disk index equals its files, belongs to them alone, and is never half there."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.envs.webshop.catalogue.disk_index import INDEX, open_index, write_index
from hero.envs.webshop.catalogue.embedded import generate
from hero.envs.webshop.catalogue.files import FILES as PATTERNS
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.shop import Shop, _open_inventory, _open_shop, open_shop
from hero.envs.webshop.storage.sampled_hash import hash_source, sampled_hash
from hero.errors import DataError
from tests.envs.webshop.files import FILES, write
from tests.envs.webshop.recorded import DATA, lines, needs_recordings
from tests.platforms import make_link

NAMES = dict(zip(PATTERNS, FILES, strict=True))
LOCK = f".{INDEX}.lock"


def quiet(phase: str, done: int, total: int) -> None:
    """Ignores a report."""


def generated(folder: Path) -> Path:
    """Writes the embedded catalogue as files, with a range of prices and synthetic instructions here and there."""
    raw = generate("hard")
    items = [dict(item) for item in raw.items]
    attributes = {asin: dict(record) for asin, record in raw.attributes.items()}
    for item in items[::3]:
        item["pricing"] += "$99.5"
        synthetic = {
            "instruction": f"Find {item['query']}",
            "instruction_attributes": attributes[item["asin"]]["attributes"],
        }
        attributes[item["asin"]] |= synthetic
    contents = (items, attributes, raw.human, raw.title_nouns)
    return write(folder, dict(zip(NAMES.values(), contents, strict=True)))


def opened(data: Path, **arguments: Any) -> Shop:
    """Opens the shop of a directory as it is now, whatever was opened before, even in the same tick of the clock."""
    _open_shop.cache_clear()
    _open_inventory.cache_clear()
    return open_shop(level="", seed=0, data=data, **arguments)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Writes the same files twice, the second time with their index."""
    plain, indexed = (generated(tmp_path_factory.mktemp(name)) for name in ("plain", "indexed"))
    write_index(indexed, quiet)
    return plain, indexed


@pytest.mark.parametrize("kind", ["synthetic", "human"])
@pytest.mark.parametrize("seed", [42, 7])
def test_an_indexed_shop_is_the_one_of_its_files(both: tuple[Path, Path], kind: Any, seed: int) -> None:
    plain, indexed = (opened(data, instruction_kind=kind, goal_seed=seed) for data in both)
    assert dict(indexed.inventory.products) == dict(plain.inventory.products)
    assert list(indexed.inventory.products) == list(plain.inventory.products)
    assert dict(indexed.prices) == dict(plain.prices)
    for split, goals in plain.goals.items():
        assert list(indexed.goals[split]) == list(goals)
    assert sum(map(len, plain.goals.values())) > 1000
    for goal in plain.goals["test"][:100]:
        assert indexed.inventory.index.search(goal.text) == plain.inventory.index.search(goal.text)
    assert indexed.inventory.page_size == plain.inventory.page_size == 10


def test_environments_of_an_indexed_shop_share_it(both: tuple[Path, Path]) -> None:
    first, second = (WebShopEnv(data=both[1], split="test") for _ in range(2))
    assert first._shop is second._shop
    assert first._shop.inventory.packed_goals is not None
    assert first.reset(options={"task": 3})[0] == WebShopEnv(data=both[0], split="test").reset(options={"task": 3})[0]


def test_a_shop_whose_files_have_changed_is_opened_anew(tmp_path: Path) -> None:
    def shop() -> Shop:
        return open_shop(level="", seed=0, data=tmp_path, instruction_kind="human", goal_seed=1)

    write(tmp_path, FILES)
    first = shop()
    assert shop() is first
    write_index(tmp_path, quiet)
    prepared = shop()
    assert prepared.inventory.packed_goals is not None
    assert shop() is prepared
    write(tmp_path, {NAMES["items"]: [FILES[NAMES["items"]][0] | {"name": "Blue shoe"}]})
    with pytest.raises(DataError, match="not made from"):
        shop()
    write_index(tmp_path, quiet)
    assert [each.inventory.products["B000000001"].title for each in (first, prepared, shop())] == [
        *["Red Shoe"] * 2,
        "Blue shoe",
    ]


def test_equal_files_give_equal_indexes(both: tuple[Path, Path], tmp_path: Path) -> None:
    again = generated(tmp_path)
    write_index(again, quiet)
    one, other = ({file.name: file.read_bytes() for file in (data / INDEX).iterdir()} for data in (both[1], again))
    assert one == other


@pytest.mark.parametrize("name", NAMES)
def test_the_index_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    write_index(write(tmp_path, FILES), quiet)
    assert open_index(tmp_path) is not None
    file = tmp_path / NAMES[name]
    file.write_text(file.read_text().replace("B000000001", "B000000002"))
    with pytest.raises(DataError, match=f"not made from .*{NAMES[name]} as it is now; run: hero data webshop --from"):
        open_index(tmp_path)


def test_a_preparation_replaces_an_index_of_other_files(tmp_path: Path) -> None:
    write_index(write(tmp_path, FILES), quiet)
    item = FILES[NAMES["items"]][0]
    write(tmp_path, {NAMES["items"]: [item | {"name": "Blue Shoe"}]})
    write_index(tmp_path, quiet)
    assert opened(tmp_path, instruction_kind="human", goal_seed=1).inventory.products["B000000001"].title == "Blue Shoe"


@given(st.data())
@settings(deadline=None)
def test_a_damaged_index_is_named(both: tuple[Path, Path], data: st.DataObject) -> None:
    folder = both[1] / INDEX
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = file.read_bytes()
    position = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["cut", "gone", "longer", "changed"]))
    try:
        if kind == "gone":
            file.unlink()
        else:
            flipped = content[:position] + bytes([content[position] ^ 64]) + content[position + 1 :]
            file.write_bytes({"cut": content[:position], "longer": content + b"x", "changed": flipped}[kind])
        with pytest.raises(DataError, match="run: hero data webshop --from") as error:
            open_index(both[1])
        assert str(folder) in str(error.value)
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("name", ["manifest.json", "records.content"])
def test_a_directory_in_place_of_a_file_of_an_index_is_refused(tmp_path: Path, name: str) -> None:
    write_index(write(tmp_path, FILES), quiet)
    (tmp_path / INDEX / name).unlink()
    (tmp_path / INDEX / name).mkdir()
    with pytest.raises(DataError, match=f"{INDEX}.* damaged.*; run: hero data webshop --from"):
        open_index(tmp_path)


@pytest.mark.parametrize("content", ["[" * 100_000, "9" * 5000, "", "null", '{"format": NaN}', '{"format": 3}'])
def test_a_file_that_is_not_a_manifest_is_refused(tmp_path: Path, content: str) -> None:
    write_index(write(tmp_path, FILES), quiet)
    (tmp_path / INDEX / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=f"{INDEX} is .*; run: hero data webshop --from"):
        open_index(tmp_path)


LOOSE: dict[str, Any] = {"WHOLE": 0, "WINDOW": 1}
"""Sizes with which sampled hashes cover as little of a small file as of a file of some GB."""


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes files with an index whose sampled hashes cover little of it."""
    folder = generated(tmp_path_factory.mktemp("loose"))
    with patch.multiple("hero.envs.webshop.storage.sampled_hash", **LOOSE):
        write_index(folder, quiet)
    return folder


@given(st.data())
@settings(deadline=None)
def test_bits_flipped_that_no_sampled_hash_covers_are_named_or_go_unnoticed(loose: Path, data: st.DataObject) -> None:
    # These are larger in the full catalogue than what is hashed whole.
    file = loose / INDEX / data.draw(st.sampled_from(["postings.documents", "postings.counts", "records.content"]))
    content = file.read_bytes()
    flipped = bytearray(content)
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=99)):
        flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(flipped)
    problem = ""
    try:
        with patch.multiple("hero.envs.webshop.storage.sampled_hash", **LOOSE):
            index = open_index(loose)
        assert index is not None
        for query in ("made for every day", "jacket", "designed with care quilted green tea"):
            assert all(index.products[asin].asin for asin in index.index.search(query))
    except DataError as error:
        problem = str(error)
    finally:
        file.write_bytes(content)
    assert not problem or "damaged" in problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "is of format 0, and 3 is needed"),
        ({"sources": {}}, "is damaged"),
        ({"sources": []}, "is damaged"),
        ({"arrays": {}}, "is damaged"),
        ({"arrays": {"places": {"dtype": "<i4", "shape": [1]}}}, "is damaged"),
    ],
)
def test_a_manifest_of_other_contents_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_index(write(tmp_path, FILES), quiet)
    manifest = tmp_path / INDEX / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(DataError, match=f"{INDEX} {message}.*; run: hero data webshop --from"):
        open_index(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items", "[{", "items_shuffle_1000.json cannot be read as JSON: record 0"),
        ("items", [{"asin": 5}], r"items_shuffle_1000.json: items\[0\]: 'asin'"),
        ("items", [FILES[NAMES["items"]][0] | {"name": None}], "items_shuffle_1000.json: items, B000000001: 'name'"),
        (
            "items",
            [FILES[NAMES["items"]][0] | {"name": "red " * 65_536}],
            "items_shuffle_1000.json: items, B000000001: a word occurs 65,536 times",
        ),
        ("attributes", {"B000000001": {}}, "items_ins_v2_1000.json: attributes, B000000001: 'attributes'"),
        ("human", {"B000000001": [{}]}, "items_human_ins.json: human, B000000001: 'instruction'"),
        ("title_nouns", {}, "title_nouns.json: title_nouns has no 'B000000001'"),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_a_preparation_that_fails_leaves_what_was_there(
    tmp_path: Path, name: str, content: Any, message: str, before: bool
) -> None:
    files = copy.deepcopy(FILES)
    if before:
        write_index(write(tmp_path, files), quiet)
    left = {file.name for file in tmp_path.iterdir()} | {*files, LOCK}
    index = {file: file.read_bytes() for file in (tmp_path / INDEX).glob("*")}
    with pytest.raises(DataError, match=message):
        write_index(write(tmp_path, files | {NAMES[name]: content}), quiet)
    if not before:
        with pytest.raises(DataError, match=message):
            opened(tmp_path, instruction_kind="human", goal_seed=1)
    assert {file.name for file in tmp_path.iterdir()} == left
    assert {file: file.read_bytes() for file in (tmp_path / INDEX).glob("*")} == index


def test_no_file_stays_open_after_a_preparation_that_fails(tmp_path: Path) -> None:
    write(tmp_path, FILES | {NAMES["human"]: {"B000000001": [{}]}})
    files, opens = [], Path.open

    def kept(path: Path, *args: Any) -> Any:
        files.append(opens(path, *args))
        return files[-1]

    with patch.object(Path, "open", kept), pytest.raises(DataError) as error:
        write_index(tmp_path, quiet)
    assert error.value.__traceback__ is not None  # which would keep alive what reads
    assert len(files) > 4
    assert all(file.closed for file in files)


def damaged(content: Any, data: st.DataObject) -> Any:
    """Replaces some part of a JSON value by something else."""
    if isinstance(content, dict | list) and content and data.draw(st.integers(0, 3)):
        changed = copy.copy(content)
        key = data.draw(st.sampled_from(list(content) if isinstance(content, dict) else range(len(content))))
        changed[key] = damaged(content[key], data)
        return changed
    return data.draw(st.sampled_from([None, 5, -1.5, "", "$", "\ud83d", True, [], [None], {}, {"a": None}, [[]]]))


@given(st.data())
@settings(deadline=None)
def test_whatever_is_wrong_is_named_with_and_without_an_index(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / INDEX, ignore_errors=True)
    write(folder, FILES)
    name = data.draw(st.sampled_from(sorted(FILES)))
    text = json.dumps(damaged(FILES[name], data))
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    write(folder, {name: text})
    problem = ""
    try:
        plain = opened(folder, instruction_kind="human", goal_seed=1)
    except DataError as error:
        problem = str(error)
    if problem:
        with pytest.raises(DataError) as again:
            write_index(folder, quiet)
        for message in (problem, str(again.value)):  # of two mistakes each may name another
            # A product whose record has another asin lacks its nouns.
            assert name in message or "title_nouns.json" in message
        assert not (folder / INDEX).exists()
    else:
        write_index(folder, quiet)
        indexed = opened(folder, instruction_kind="human", goal_seed=1)
        assert dict(indexed.inventory.products) == dict(plain.inventory.products)
        assert list(indexed.goals["test"]) == list(plain.goals["test"])


def test_an_index_that_is_replaced_while_it_is_opened_is_refused_and_can_be_opened_again(tmp_path: Path) -> None:
    write_index(write(tmp_path, FILES), quiet)
    item = FILES[NAMES["items"]][0]
    replaced = []

    def replace_first(file: Path) -> dict[str, Any]:
        if not replaced and file.parent.name == INDEX:
            replaced.append(file)
            write(tmp_path, {NAMES["items"]: [item | {"name": "Blue Shoe"}]})
            write_index(tmp_path, quiet)
        return sampled_hash(file)

    with (
        patch("hero.envs.webshop.storage.array_dir.sampled_hash", replace_first),
        pytest.raises(DataError, match=r"is damaged, or was just replaced; run: hero data webshop --from"),
    ):
        open_index(tmp_path)
    disk_index = open_index(tmp_path)
    assert disk_index is not None
    assert disk_index.products["B000000001"].title == "Blue Shoe"


def test_an_interruption_leaves_nothing_and_leftovers_do_no_harm(tmp_path: Path) -> None:
    def interrupt(phase: str, done: int, total: int) -> None:
        if phase == "goals":
            raise KeyboardInterrupt

    write(tmp_path, FILES)
    with pytest.raises(KeyboardInterrupt):
        write_index(tmp_path, interrupt)
    assert {file.name for file in tmp_path.iterdir()} == {*FILES, LOCK}
    for titled in ("Red Shoe", "Blue Shoe"):  # without an older index, and with one
        for leftover in ("partial", "old"):  # of a process that was killed
            (tmp_path / f"{INDEX}.{leftover}").mkdir()
            (tmp_path / f"{INDEX}.{leftover}" / "places").write_text("")
        write(tmp_path, {NAMES["items"]: [FILES[NAMES["items"]][0] | {"name": titled}]})
        write_index(tmp_path, quiet)
        assert {file.name for file in tmp_path.iterdir()} == {*FILES, INDEX, LOCK}
        assert opened(tmp_path, instruction_kind="human", goal_seed=1).inventory.products["B000000001"].title == titled


def test_a_second_preparation_at_the_same_time_is_refused(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    refused = []

    def again(phase: str, done: int, total: int) -> None:
        if phase == "goals" and not refused:
            with pytest.raises(DataError, match=r"another process is writing .*; wait until it ends"):
                write_index(tmp_path, quiet)
            refused.append(phase)

    write_index(tmp_path, again)
    assert refused
    assert open_index(tmp_path) is not None


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_in_place_of_the_index_is_named(tmp_path: Path, kind: str) -> None:
    write(tmp_path, FILES)
    if kind == "file":
        (tmp_path / INDEX).write_text("")
    else:
        make_link(tmp_path / INDEX, tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"{INDEX} is in the way, and is not a directory; remove it"):
        write_index(tmp_path, quiet)


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path} cannot be read: Is a directory"):
        hash_source(tmp_path)


def test_an_index_that_is_a_link_to_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    make_link(write(tmp_path, FILES) / INDEX, tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"{INDEX} is damaged .*No such file"):
        open_index(tmp_path)


def test_a_large_file_without_an_index_is_refused(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    with (
        patch("hero.envs.webshop.shop.MAX_ITEMS_BYTES", 100),
        pytest.raises(DataError, match=r"items_shuffle_1000\.json is too large .*; run: hero data webshop --from"),
    ):
        opened(tmp_path, instruction_kind="human", goal_seed=1)


def test_a_product_with_too_many_goals_is_named(tmp_path: Path) -> None:
    groups = {name: [{"value": str(value)} for value in range(100)] for name in "abc"}
    item = FILES[NAMES["items"]][0] | {"customization_options": groups}
    write(tmp_path, FILES | {NAMES["items"]: [item]})
    with (
        patch("hero.envs.webshop.goals.packed.MAX_GOALS", 100_000),
        pytest.raises(DataError, match=r"items_shuffle_1000\.json: items, B000000001: with its 1,000,000 combinations"),
    ):
        write_index(tmp_path, quiet)


def test_an_empty_catalogue_can_be_prepared(tmp_path: Path) -> None:
    write_index(write(tmp_path, FILES | {NAMES["items"]: []}), quiet)
    shop = opened(tmp_path, instruction_kind="synthetic", goal_seed=1)
    assert (len(shop.inventory.products), shop.inventory.index.search("shoe"), len(shop.goals["test"])) == (0, (), 0)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (write(tmp_path, FILES) / f"{INDEX}.partial").write_text("in the way")
    with pytest.raises(DataError, match=f"{INDEX} cannot be written"):
        write_index(tmp_path, quiet)


@pytest.mark.parametrize("size", [0, 1, 1 << 16, 1 << 20, (1 << 20) + 100_000])
def test_sampled_hashes_cover_all_of_a_small_file_and_both_ends_of_a_large_one(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hero.envs.webshop.storage.sampled_hash.WHOLE", 1 << 20)
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    seen = sampled_hash(file)
    assert seen["size"] == size
    for position in {0, size // 2 if size <= 1 << 20 else size - 1, size - 1} if size else ():
        content = bytearray(size)
        content[position] = 1
        file.write_bytes(content)
        assert sampled_hash(file) != seen


@needs_recordings
def test_the_recorded_catalogue_is_the_same_prepared(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    write_index(tmp_path / "data", quiet)
    plain = opened(DATA, instruction_kind="synthetic", goal_seed=42)
    prepared = open_shop(level="", seed=0, data=tmp_path / "data", instruction_kind="synthetic", goal_seed=42)
    assert prepared.inventory.packed_goals is not None
    assert dict(prepared.inventory.products) == dict(plain.inventory.products)
    assert dict(prepared.prices) == dict(plain.prices)
    for split, goals in plain.goals.items():
        assert list(prepared.goals[split]) == list(goals)
    records = lines("search_rankings")
    assert [list(prepared.inventory.index.search(record["query"])) for record in records] == [
        record["asins"] for record in records
    ]
