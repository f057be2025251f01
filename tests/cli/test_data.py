"""`hero data webshop`: the original's files, checked and made ready."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Hero
from tests.envs.webshop.files import FILES, write

NOUNS = "title_nouns.json"


def test_files_are_named_and_an_index_is_written_once(hero: Hero, tmp_path: Path) -> None:
    folder = write(tmp_path, FILES)
    first = hero("data", "webshop", "--from", folder)
    assert (first.exit_code, first.stderr) == (0, "")
    for name in FILES:
        assert f"{name}  {(folder / name).stat().st_size} bytes  " in first.stdout
    assert first.stdout.count("not a known file of the original") == 3
    assert "hero_index  1 products, 0 synthetic goals and 1 human ones" in first.stdout
    assert f"--env-arg data={folder}" in first.stdout
    again = hero("data", "webshop", "--from", folder)
    assert "hero_index  is there already" in again.stdout
    (folder / "hero_index" / "places").write_bytes(b"")
    mended = hero("data", "webshop", "--from", folder)
    assert "hero_index  is written again: " in mended.stdout
    assert "places is damaged" in mended.stdout
    played = hero("play", "--env-arg", f"data={folder}", "--env-arg", "goals=human", "--split", "test", typed="")
    assert "\na shoe\n" in played.stdout


def test_every_missing_file_is_reported(hero: Hero, tmp_path: Path) -> None:
    result = hero("data", "webshop", "--from", tmp_path)
    assert result.exit_code == 2
    assert result.stdout.count("missing") == 4
    assert "holds no items_shuffle*.json, no items_ins_v2*.json, no items_human_ins.json: fetch" in result.stderr
    result = hero("data", "webshop", "--from", tmp_path / "nowhere")
    assert (result.exit_code, "nowhere cannot be read: No such file or directory" in result.stderr) == (2, True)


def test_without_spacy_the_remedy_is_reported(hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    write(tmp_path, {name: content for name, content in FILES.items() if name != NOUNS})
    result = hero("data", "webshop", "--from", tmp_path)
    assert result.exit_code == 2
    assert f"{NOUNS}  missing" in result.stdout
    assert "pip install 'hero-agents[nouns]'" in result.stderr
    assert {file.name for file in tmp_path.iterdir()} == set(FILES) - {NOUNS}


def test_two_sizes_in_one_directory_are_refused(hero: Hero, tmp_path: Path) -> None:
    result = hero("data", "webshop", "--from", write(tmp_path, FILES | {"items_shuffle.json": []}))
    assert result.exit_code == 2
    assert "keep each size of the catalogue in a directory of its own" in result.stderr


def test_a_record_that_is_wrong_is_named(hero: Hero, tmp_path: Path) -> None:
    folder = write(tmp_path, FILES | {"items_human_ins.json": {"B000000001": ["x"]}})
    result = hero("data", "webshop", "--from", folder)
    assert result.exit_code == 2
    assert f"error: {folder / 'items_human_ins.json'}: human, B000000001: " in result.stderr
