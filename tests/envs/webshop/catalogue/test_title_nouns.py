"""The nouns of the titles, and the messages where the tagger is not installed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hero.envs.webshop.catalogue.title_nouns import MODEL, make_title_nouns
from hero.errors import DataError
from tests.envs.webshop.files import FILES, ITEM, write
from tests.envs.webshop.recorded import DATA, needs_recordings

NOUNS = "title_nouns.json"


class Tagger:
    """Takes words with a capital for names, words of four letters for nouns, and the others for verbs."""

    def pipe(self, titles: Iterable[tuple[str, str]], **_: Any) -> Iterator[tuple[list[Any], str]]:
        for title, asin in titles:
            if "?" in title:
                raise KeyboardInterrupt
            yield [SimpleNamespace(text=word, pos_=self.kind(word)) for word in title.split()], asin

    def kind(self, word: str) -> str:
        return "PROPN" if word[0].isupper() else "NOUN" if len(word) == 4 else "VERB"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, {name: content for name, content in FILES.items() if name != NOUNS})


def use(monkeypatch: pytest.MonkeyPatch, load: Any) -> None:
    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load))


def test_nouns_and_names_are_kept_in_order_and_in_lower_case(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"B1": "Acme shoe walks shoe", "B2": "goes", "nan": "Nothing", "B00000000012": "Nothing"}
    items = [ITEM | {"asin": asin, "name": name} for asin, name in names.items()]
    write(folder, {"items_shuffle_1000.json": [*items, items[1]]})
    use(monkeypatch, lambda *_, **__: Tagger())
    advanced: list[int] = []
    assert make_title_nouns(folder, advanced.append) == folder / NOUNS
    assert json.loads((folder / NOUNS).read_text()) == {"B1": ["acme", "shoe", "shoe"], "B2": ["goes"]}
    assert sum(advanced) == (folder / "items_shuffle_1000.json").stat().st_size


def test_no_products_have_no_nouns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, lambda *_, **__: Tagger())
    write(folder, {"items_shuffle_1000.json": []})
    make_title_nouns(folder, lambda _: None)
    assert json.loads((folder / NOUNS).read_text()) == {}


@pytest.mark.parametrize(("name", "error"), [("Shoe ?", KeyboardInterrupt), (None, DataError)])
def test_a_failure_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch, name: Any, error: Any) -> None:
    use(monkeypatch, lambda *_, **__: Tagger())
    write(folder, {"items_shuffle_1000.json": [ITEM, ITEM | {"asin": "B2", "name": name}]})
    before = set(folder.iterdir())
    with pytest.raises(error, match="items, B2: 'name'" if error is DataError else None):
        make_title_nouns(folder, lambda _: None)
    assert set(folder.iterdir()) == before


def test_a_missing_package_is_named_with_the_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, **_: Any) -> None:
        raise OSError(f"Can't find model {name!r}")

    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(DataError, match=r"spaCy, .*pip install 'hero-agents\[nouns\]'"):
        make_title_nouns(folder, lambda _: None)
    use(monkeypatch, load)
    with pytest.raises(DataError, match=r"en_core_web_sm, .*python -m spacy download en_core_web_sm"):
        make_title_nouns(folder, lambda _: None)


@needs_recordings
def test_nouns_are_those_that_were_recorded(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy", reason="needs spaCy")
    if not spacy.util.is_package(MODEL):
        pytest.skip(f"needs spaCy's {MODEL}")
    shutil.copy(DATA / "items_shuffle_1000.json", tmp_path)
    recorded = json.loads((DATA / NOUNS).read_text(encoding="utf-8"))
    assert json.loads(make_title_nouns(tmp_path, lambda _: None).read_text(encoding="utf-8")) == recorded
