"""Suites as files: what is read back, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError, DataError
from hero.suite.items import ALL, Item, read_suite
from hero.types import Message

ASK = [{"role": "user", "content": "2 + 2?"}]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
MESSAGES = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "assistant"]), TEXT
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """Draws the record of an item, with or without what can be left out."""
    messages = [*draw(st.lists(MESSAGES, max_size=3)), {"role": "user", "content": draw(TEXT)}]
    record = {"messages": messages, "reply": draw(TEXT)}
    if draw(st.booleans()):
        record |= {"kind": draw(TEXT.filter(lambda kind: kind != ALL)), "pattern": re.escape(record["reply"])}
    return record


@given(st.lists(records(), min_size=1, max_size=4), st.booleans())
def test_every_line_is_read_as_it_was_written(written: list[dict[str, Any]], ascii_only: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "suite.jsonl")
        lines = (json.dumps(record, ensure_ascii=ascii_only) for record in written)
        path.write_bytes("\n\n".join(lines).encode())
        items = read_suite(path)
        assert items == tuple(
            Item(
                record.get("kind", "reply"),
                tuple(Message(message["role"], message["content"]) for message in record["messages"]),
                record["reply"],
                record.get("pattern", ""),
                f"{path}, line {1 + 2 * index}",
            )
            for index, record in enumerate(written)
        )


def test_plain_text_is_one_item(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("It was a dark\nand stormy night.\n", encoding="utf-8")
    assert read_suite(path) == (Item("text", (), "It was a dark\nand stormy night.\n", "", str(path)),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "[1] is not an object with kind, messages, reply, pattern"),
        (json.dumps({"messages": ASK, "reply": "4", "answer": "4"}), "unknown key 'answer'; there are kind, messages"),
        (json.dumps({"messages": ASK}), "reply is missing"),
        (json.dumps({"reply": "4"}), "messages is missing"),
        (json.dumps({"messages": ASK, "reply": ""}), "reply must be a text that is not empty, not ''"),
        (json.dumps({"messages": ASK, "reply": 4}), "reply must be a text that is not empty, not 4"),
        (json.dumps({"messages": ASK, "reply": "4", "kind": None}), "kind must be a text that is not empty, not None"),
        (json.dumps({"messages": ASK, "reply": "4", "kind": "all"}), "no kind can have the name 'all'"),
        (json.dumps({"messages": [], "reply": "4"}), "messages must be a list that is not empty, not []"),
        (json.dumps({"messages": ["2 + 2?"], "reply": "4"}), "a message is an object with role and content, not '2"),
        (json.dumps({"messages": [{"role": "user"}], "reply": "4"}), "a message is an object with role and content"),
        (json.dumps({"messages": [{"role": "tool", "content": ""}], "reply": "4"}), "one of system, user, assistant"),
        (json.dumps({"messages": [{"role": [], "content": ""}], "reply": "4"}), "one of system, user, assistant"),
        (json.dumps({"messages": [{"role": "user", "content": 1}], "reply": "4"}), "content must be a text, not 1"),
        (json.dumps({"messages": [{"role": "assistant", "content": "4"}], "reply": "4"}), "must be of the role user"),
        (json.dumps({"messages": ASK, "reply": "4", "pattern": "(4"}), "pattern '(4' is not a regular expression"),
    ],
)
def test_a_line_that_is_not_an_item_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(json.dumps({"messages": ASK, "reply": "4"}) + "\n" + line, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_suite(path)
    assert str(error.value).startswith(f"{path}, line 2")


def test_a_file_that_is_not_a_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither \.jsonl .* nor \.txt"):
        read_suite(tmp_path / "suite.json")
    for content, message in ((b" \n", "is empty"), (b"\xff", "is not text in UTF-8")):
        (tmp_path / "suite.txt").write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_suite(tmp_path / "suite.txt")
