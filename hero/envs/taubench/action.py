"""Reads the text of an action: a tool call, words for the user, or a call that cannot be read. Loads nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hero.chat.thoughts import without_thoughts
from hero.chat.tool_calls import call_text
from hero.envs.taubench.data.reading import MAX_DEPTH, is_deeper, loads

RESPOND: Final = "respond"
"""The name under which agents that write everything as a call address the user, with the argument `content`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call.

    Attributes:
        arguments: JSON values by name.
    """

    name: str
    arguments: Mapping[str, Any]

    def text(self) -> str:
        """Returns the call as an agent writes it."""
        return f"<tool_call>{json.dumps({'name': self.name, 'arguments': self.arguments})}</tool_call>"


@dataclass(frozen=True, slots=True)
class Reply:
    """Words for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """An action that was meant as a tool call and cannot be read as one."""

    reason: str


def parse_action(action: str) -> Call | Reply | Malformed:
    """Parses an action.

    A call is a JSON object with `name` and `arguments` (or `parameters`, as Llama calls them), in any form that
    `hero.chat.tool_calls` recognises. Everything else but thoughts goes to the user, as does the `content` of a call of
    `respond`.
    """
    if (call := call_text(action)) is not None:
        return _call(call)
    return _reply(action)


def parse_call(action: str) -> Call | None:
    """Returns the tool call in an action; None for words to the user, and for a call that cannot be read."""
    return move if isinstance(move := parse_action(action), Call) else None


def _call(text: str) -> Call | Reply | Malformed:
    try:
        record = loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a value is out of range"
        return Malformed(f"the tool call is not JSON: {reason}")
    if not isinstance(record, dict) or not isinstance(record.get("name"), str):
        return Malformed('a tool call is a JSON object with "name" and "arguments"')
    arguments = record.get("arguments", record.get("parameters", {}))
    if isinstance(arguments, str):  # as chat endpoints write them
        try:
            arguments = loads(arguments)
        except (ValueError, RecursionError):
            return Malformed('"arguments" is a string that is not JSON')
    if not isinstance(arguments, dict):
        return Malformed('"arguments" must be a JSON object')
    if is_deeper(arguments, MAX_DEPTH):
        return Malformed('"arguments" has too many nested lists or objects')
    if record["name"] != RESPOND:
        return Call(record["name"], arguments)
    content = arguments.get("content")
    if not isinstance(content, str):
        return Malformed(f'{RESPOND} needs a "content" that is a string')
    return _reply(content)


def _reply(text: str) -> Reply | Malformed:
    words = without_thoughts(text)
    return Malformed("there is a thought or a label, and nothing else") if text.strip() and not words else Reply(words)
