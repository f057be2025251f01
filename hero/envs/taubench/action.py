"""How an action is written: a tool call, or words for the user."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from hero.envs.taubench.task import DEEPEST, Call, too_deep

RESPOND: Final = "respond"
"""The name under which agents that write everything as a call address the user, with the argument `content`."""
LONGEST: Final = 1000
"""Digits of a whole number. Tools multiply and sum, and more than 4300 Python refuses to write, and so to hash."""

_TAGGED: Final = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_MARK: Final = "<|python_tag|>"
"""What Llama sets before a call."""
_FENCED: Final = re.compile(r"```[ \w]*\n?(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Malformed:
    """An action that was meant as a tool call and cannot be read as one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Words for the user."""

    text: str


def parse(action: str) -> Call | Reply | Malformed:
    """Reads an action.

    A call is a JSON object with `name` and `arguments` (or `parameters`, as Llama calls them): inside `<tool_call>`
    tags anywhere in the text (the first of several counts), or as the whole text, bare or in a fence. A text that has
    the tag, or begins with a brace, is meant as a call. Everything else is said to the user, as is what a call of
    `respond` has as its `content`.
    """
    if tagged := _TAGGED.search(action):
        return _call(tagged[1])
    text = action.strip().removeprefix(_MARK).strip()
    fenced = _FENCED.fullmatch(text)
    inner = fenced[1].strip() if fenced else text
    return _call(inner) if inner.startswith("{") else Reply(action)


def _call(text: str) -> Call | Reply | Malformed:
    fenced = _FENCED.fullmatch(text.strip())
    try:
        record = _read(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a value is out of range"
        return Malformed(f"the tool call is not JSON: {reason}")
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        return Malformed('a tool call is a JSON object with "name" and "arguments"')
    arguments = record.get("arguments", record.get("parameters", {}))
    if isinstance(arguments, str):  # as chat endpoints write them
        try:
            arguments = _read(arguments)
        except (ValueError, RecursionError):
            return Malformed('"arguments" is a text that is not JSON')
    if not isinstance(arguments, dict):
        return Malformed('"arguments" must be a JSON object')
    if too_deep(arguments, DEEPEST):
        return Malformed('"arguments" has too many lists or objects within one another')
    if record["name"] != RESPOND:
        return Call(record["name"], arguments)
    content = arguments.get("content")
    return Reply(content) if isinstance(content, str) else Malformed(f'{RESPOND} needs a "content" that is a text')


def _read(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, parse_int=_whole)


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= LONGEST else _refuse(digits)
