"""How an action is written: a tool call, or words for the user."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from hero.chat.thoughts import without_thoughts
from hero.chat.tool_calls import call_text
from hero.envs.taubench.data.reading import loads
from hero.envs.taubench.task import DEEPEST, Call, too_deep

RESPOND: Final = "respond"
"""The name under which agents that write everything as a call address the user, with the argument `content`."""


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

    A call is a JSON object with `name` and `arguments` (or `parameters`, as Llama calls them), in any form that
    `hero.chat.tool_calls` finds. Everything else but thoughts is said to the user, as is what a call of `respond` has
    as its `content`.
    """
    if (call := call_text(action)) is not None:
        return _call(call)
    return _reply(action)


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
            return Malformed('"arguments" is a text that is not JSON')
    if not isinstance(arguments, dict):
        return Malformed('"arguments" must be a JSON object')
    if too_deep(arguments, DEEPEST):
        return Malformed('"arguments" has too many lists or objects within one another')
    if record["name"] != RESPOND:
        return Call(record["name"], arguments)
    content = arguments.get("content")
    if not isinstance(content, str):
        return Malformed(f'{RESPOND} needs a "content" that is a text')
    return _reply(content)


def _reply(text: str) -> Reply | Malformed:
    words = without_thoughts(text)
    return Malformed("there is a thought or a label, and nothing else") if text.strip() and not words else Reply(words)
