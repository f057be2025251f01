"""The provenance of an environment suffices to build it again anywhere, and to notice another shop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from hero.envs.webshop.catalogue.disk_index import write_index
from hero.envs.webshop.catalogue.embedded import FILLERS
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.shop import _open_inventory, _open_shop
from hero.errors import DataError
from tests.envs.webshop.files import catalogue, write
from tests.platforms import make_link

FILES = catalogue([("B000000001", "Find me shoes", ["s", "m"])])


def provenance(**arguments: Any) -> dict[str, Any]:
    return WebShopEnv(**arguments).provenance()


def test_a_path_is_pinned_wherever_it_was_given_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data, FILES)
    make_link(tmp_path / "latest", data)
    monkeypatch.chdir(tmp_path)
    kind: dict[str, Any] = {"split": "test", "goals": "human"}
    several = [provenance(data=path, **kind) for path in (data, "data", Path("latest"), "latest/../data")]
    assert several == [several[0]] * 4
    assert several[0]["arguments"] == {"data": str(data)}
    monkeypatch.chdir("/")
    (tmp_path / "latest").unlink()
    assert provenance(**kind, **several[0]["arguments"]) == several[0]


@pytest.mark.parametrize("name", FILES)
def test_any_other_content_of_any_file_is_another_shop(tmp_path: Path, name: str) -> None:
    env = WebShopEnv(data=write(tmp_path, FILES), split="test")
    before = env.provenance()
    assert json.loads(json.dumps(before)) == before
    (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
    assert env.provenance() != before


def test_names_of_files_and_an_index_do_not_count(tmp_path: Path) -> None:
    before = provenance(data=write(tmp_path, FILES), split="test")
    (tmp_path / "items_shuffle_1000.json").rename(tmp_path / "items_shuffle.json")
    assert provenance(data=tmp_path, split="test") == before
    write_index(tmp_path, lambda *_: None)
    assert provenance(data=tmp_path, split="test") == before


def test_files_that_are_gone_are_named(tmp_path: Path) -> None:
    env = WebShopEnv(data=write(tmp_path, FILES), split="test")
    (tmp_path / "items_human_ins.json").unlink()
    with pytest.raises(DataError, match="holds no items_human_ins"):
        env.provenance()


def test_the_embedded_catalogue_is_hashed_as_it_is() -> None:
    before = provenance()
    assert before["arguments"] == {}
    assert provenance(split="test", observation="text_rich") == before
    for other in ({"level": "easy"}, {"catalogue_seed": 1}):
        assert provenance(**other)["catalogue"] != before["catalogue"]
    assert provenance(goal_seed=1) == before | {"tasks": before["tasks"] | {"goal_seed": 1}}
    for change in ({"FILLERS": FILLERS[:4]}, {"SHARES": {"train": 0.5, "validation": 0.3, "test": 0.2}}):
        _open_shop.cache_clear()
        _open_inventory.cache_clear()
        with patch.multiple("hero.envs.webshop.catalogue.embedded", **change):
            assert provenance()["catalogue"] != before["catalogue"]
    _open_shop.cache_clear()
    _open_inventory.cache_clear()
    assert provenance() == before


def test_the_defaults_are_reported_in_full(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    default = provenance(data=tmp_path, split="test")
    assert default == provenance(data=tmp_path, split="test", goals="synthetic", split_by="goal")
    for other in ({"goals": "human"}, {"goal_seed": 7}):
        assert provenance(data=tmp_path, split="test", **other)["tasks"] != default["tasks"]
