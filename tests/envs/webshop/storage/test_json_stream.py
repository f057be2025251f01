"""Reading JSON record by record: against reading it at once, and cut off anywhere."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.storage.json_stream import MarshalledRecords, stream_records
from hero.errors import DataError

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(exclude_categories=()), max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
contents = st.one_of(st.lists(values, max_size=5), st.dictionaries(st.text(max_size=3), values, max_size=5))
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def read(folder: Path, text: bytes, chunk: int, outer: type) -> Any:
    path = folder / "file.json"
    path.write_bytes(text)
    with patch("hero.envs.webshop.storage.json_stream.CHUNK", chunk):
        pairs = list(stream_records(path, outer, object))
    if outer is list:
        assert [key for key, _ in pairs] == list(range(len(pairs)))
    return dict(pairs) if outer is dict else [record for _, record in pairs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stream")


@given(contents, layouts, st.integers(1, 9), st.sampled_from([b"", codecs.BOM_UTF8]))
def test_records_are_those_of_the_whole_file(
    folder: Path, content: Any, layout: dict[str, Any], chunk: int, mark: bytes
) -> None:
    text = f" {json.dumps(content, **layout)}\n".encode("utf-8", "replace")
    assert read(folder, mark + text, chunk, type(content)) == json.loads(text)


@given(contents, st.data(), st.integers(1, 9))
def test_a_file_that_is_cut_off_is_named(folder: Path, content: Any, data: st.DataObject, chunk: int) -> None:
    text = json.dumps(content).encode()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    with pytest.raises(DataError, match=r"file\.json cannot be read as JSON: .*; fetch it again"):
        read(folder, cut, chunk, type(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"a": ', "record 1: Expecting value"),
        ('{"k": [], "l": [nul', "record 'l': Expecting value"),
        ('{"k": [] "l": []}', "the record after 'k': ',' is needed, not '\"'"),
        ('{"k" []}', "the first record: ':' is needed"),
        ("{5: []}", "the first record: Expecting|a key of the first record is not a string"),
        ("[1, 2", "the record after 1: the file is cut off"),
        ("[1] 2", "more after its end"),
        ("[1]]", "more after its end"),
    ],
)
def test_the_record_that_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text.encode(), 4, dict if text[0] == "{" else list)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json cannot be read"):
        list(stream_records(tmp_path / "gone.json", list, dict))


def test_progress_is_reported_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(json.dumps(["é" * 50] * 50), encoding="utf-8")
    advanced: list[int] = []
    with patch("hero.envs.webshop.storage.json_stream.CHUNK", 100):
        list(stream_records(tmp_path / "file.json", list, str, advanced.append))
    assert sum(advanced) == (tmp_path / "file.json").stat().st_size
    assert max(advanced) == 100


@pytest.mark.parametrize("text", [b"", b" \n", codecs.BOM_UTF8])
def test_an_empty_file_is_reported_as_empty(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(DataError, match=r"file\.json cannot be read as JSON: it is empty; fetch it again, or make"):
        read(tmp_path, text, 4, list)


@given(st.dictionaries(st.text(max_size=3), values))
def test_packed_records_come_back(content: dict[str, Any]) -> None:
    assert dict(MarshalledRecords(content.items())) == content
