"""Finding and reading the original's files: how files that are wrong are named."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hero.envs.webshop.catalogue.disk_index import write_index
from hero.envs.webshop.catalogue.files import read_directory
from hero.envs.webshop.catalogue.parse import parse_products
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.storage.json_stream import MarshalledRecords
from hero.errors import DataError
from tests.envs.webshop.files import FILES, ITEM, write
from tests.platforms import make_link, make_pipe


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
        list(parse_products(read_directory(write(tmp_path, files))))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("gone", "No such file or directory"), ("file", "Not a directory"), ("loop", "Too many levels of symbolic links")],
)
def test_whatever_is_not_a_directory_is_not_reported_to_lack_files(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").write_text("")
    make_link(tmp_path / "loop", "loop")
    with pytest.raises(DataError, match=f"{name} cannot be read: {problem}; give a directory that holds"):
        WebShopEnv(data=tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_nowhere_is_not_reported_as_missing(tmp_path: Path, name: str) -> None:
    (write(tmp_path, FILES) / name).unlink()
    make_link(tmp_path / name, tmp_path / "moved.json")
    with pytest.raises(DataError, match=rf"{name} is a link to .*moved\.json, which does not exist; put"):
        WebShopEnv(data=tmp_path)
    (tmp_path / "moved.json").write_text(json.dumps(FILES[name]))
    assert WebShopEnv(data=tmp_path, goals="human", split="test").num_tasks == 1


@pytest.mark.parametrize("make", [Path.mkdir, make_pipe])
def test_a_directory_or_pipe_in_place_of_a_file_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (write(tmp_path, FILES) / "items_human_ins.json").unlink()
    make(tmp_path / "items_human_ins.json")
    with pytest.raises(
        DataError, match=r"items_human_ins\.json is not a file but a directory or the like; put the file"
    ):
        WebShopEnv(data=tmp_path)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("value", [nested(900), nested(100_000), "9" * 5000, "NaN", "-Infinity", '{"a": NaN}', "1e999"])
@pytest.mark.parametrize("key", ["asin", "name", "pricing", "customization_options", "small_description"])
def test_json_that_nobody_means_is_named(tmp_path: Path, key: str, value: str) -> None:
    record = json.dumps(ITEM | {key: "?"}).replace(f'"{key}": "?"', f'"{key}": {value}')
    write(tmp_path, FILES | {"items_shuffle_1000.json": f"[{record}]"})
    for use in (lambda: WebShopEnv(data=tmp_path), lambda: write_index(tmp_path, lambda *_: None)):
        with pytest.raises(DataError, match=r"items_shuffle_1000\.json") as error:
            use()
        assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["items_ins_v2_1000.json", "items_human_ins.json", "title_nouns.json"])
@pytest.mark.parametrize(
    "value", [nested(900), nested(100_000), "9" * 5000, "NaN", f'[{{"instruction": {nested(900)}}}]']
)
def test_records_that_nobody_means_are_named(tmp_path: Path, name: str, value: str) -> None:
    write(tmp_path, FILES | {name: f'{{"B000000001": {value}}}'})
    for use in (lambda: WebShopEnv(data=tmp_path), lambda: write_index(tmp_path, lambda *_: None)):
        with pytest.raises(DataError, match=name.replace(".", r"\.")) as error:
            use()
        assert len(str(error.value)) < 500


def test_a_record_too_deep_to_be_kept_is_named() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        with pytest.raises(DataError, match="record 'B0' cannot be kept: object too deeply nested"):
            MarshalledRecords([("B0", json.loads(nested(5000)))])
    finally:
        sys.setrecursionlimit(limit)


def test_a_long_key_does_not_make_a_long_message(tmp_path: Path) -> None:
    write(tmp_path, FILES | {"title_nouns.json": {"x" * 100_000: 5}})
    with pytest.raises(DataError, match=r"title_nouns\.json: record 'xxx") as error:
        WebShopEnv(data=tmp_path)
    assert len(str(error.value)) < 500
