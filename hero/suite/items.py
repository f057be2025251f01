"""Read a suite: conversations with the replies that they call for, or plain text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError, DataError
from hero.types import Message

ALL: Final = "all"
"""Stands for the items of every kind, so that no kind has this name."""
ROLES: Final = ("system", "user", "assistant")
KEYS: Final = ("kind", "messages", "reply", "pattern")


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation and the right reply to it, or a plain text.

    Attributes:
        kind: name of the group that the item is counted in.
        messages: the conversation, ending with a user message; empty for plain text.
        reply: the right reply, or the plain text; never empty.
        pattern: regular expression that a reply of the right form matches in full; "" where any form will do.
        where: file and line, for messages.
    """

    kind: str
    messages: tuple[Message, ...]
    reply: str
    pattern: str
    where: str


def read_suite(path: Path) -> tuple[Item, ...]:
    """Reads a suite: of a `.jsonl` file the item on each line, of a `.txt` file the whole text as one item.

    Raises:
        OSError: the file cannot be read.
        ConfigError: the name of the file has another ending.
        DataError: the file is empty, or not UTF-8, or a line is not an item; the message names the line.
    """
    if path.suffix not in (".jsonl", ".txt"):
        raise ConfigError(f"the suite {path} is neither .jsonl (conversations and replies) nor .txt (plain text)")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 ({error}); save it as UTF-8") from error
    if not text.strip():
        raise DataError(f"{path} is empty; a suite has at least one line")
    if path.suffix == ".txt":
        return (Item("text", (), text, "", str(path)),)
    # Unlike splitlines, which also splits at marks that JSON allows in a string.
    lines = enumerate(text.split("\n"), start=1)
    return tuple(_item(line, f"{path}, line {number}") for number, line in lines if line.strip())


def _item(line: str, where: str) -> Item:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not JSON ({error})") from error
    if fault := next(_faults(record), ""):
        raise DataError(f"{where}: {fault}")
    messages = tuple(Message(message["role"], message["content"]) for message in record["messages"])
    return Item(record.get("kind", "reply"), messages, record["reply"], record.get("pattern", ""), where)


def _faults(record: Any) -> Iterator[str]:
    """Yields what keeps a record from being an item; what comes later may rely on what came before."""
    if not isinstance(record, dict):
        yield f"{record!r:.40} is not an object with {', '.join(KEYS)}"
    if unknown := sorted(record.keys() - set(KEYS)):
        yield f"unknown key {unknown[0]!r}; there are {', '.join(KEYS)}"
    if missing := sorted({"messages", "reply"} - record.keys()):
        yield f"{missing[0]} is missing"
    for key in ("kind", "reply", "pattern"):
        if key in record and (not isinstance(record[key], str) or not record[key]):
            yield f"{key} must be a text that is not empty, not {record[key]!r:.40}"
    if record.get("kind") == ALL:
        yield f"no kind can have the name {ALL!r}, which stands for every kind"
    if not isinstance(record["messages"], list) or not record["messages"]:
        yield f"messages must be a list that is not empty, not {record['messages']!r:.40}"
    yield from map(_message_fault, filter(_message_fault, record["messages"]))
    if record["messages"][-1]["role"] != "user":
        yield "the last message must be of the role user, since the reply is the assistant's"
    if fault := _pattern_fault(record.get("pattern", "")):
        yield fault


def _message_fault(message: Any) -> str:
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        return f"a message is an object with role and content, not {message!r:.60}"
    if message["role"] not in ROLES:
        return f"the role of a message is one of {', '.join(ROLES)}, not {message['role']!r:.40}"
    return "" if isinstance(message["content"], str) else f"content must be a text, not {message['content']!r:.40}"


def _pattern_fault(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"pattern {pattern!r:.60} is not a regular expression ({error})"
    return ""
