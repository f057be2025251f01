"""Find the tool call in a model's text, in any form that models write. Standard library only."""

from __future__ import annotations

import json
import re
from typing import Final

from hero.chat.thoughts import action_input, readings, without_thoughts

_TAGGED: Final = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_MARK: Final = "<|python_tag|>"
"""A token that Llama writes before a call."""
_FENCED: Final = re.compile(r"```[ \w]*\n?(.*?)(?:```|\Z)", re.DOTALL)


def call_text(text: str) -> str | None:
    """Returns the part of a text that is meant as a tool call, mostly JSON; None if the text is words alone.

    A text is meant as a call if it has a `<tool_call>` tag (the first of several counts), if it begins with a brace,
    bare or in a fence, or if it is ReAct's `Action: name` with an `Action Input:` in braces. So is, among other words,
    an object with `name` and `arguments` (or `parameters`, as Llama calls them) in tags, in a fence or behind a line
    label. Thoughts are left out first, unless the whole text is JSON: then they are part of the call's arguments.
    """
    if _is_object(text.strip()):
        return text.strip()
    words = without_thoughts(text)
    if tagged := _TAGGED.search(words):
        return _unfenced(tagged[1])
    whole = next(readings(text)).removeprefix(_MARK).strip()
    if (inner := _unfenced(whole)).startswith("{"):
        return inner
    if (named := action_input(text)) and named[1].startswith("{"):
        return f'{{"name": {json.dumps(named[0])}, "arguments": {named[1]}}}'
    return next(filter(_is_call, readings(words)), None)


def _unfenced(text: str) -> str:
    fenced = _FENCED.fullmatch(text.strip())
    return (fenced[1] if fenced else text).strip()


def _is_object(text: str) -> bool:
    if not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_call(text: str) -> bool:
    return text.startswith("{") and '"name"' in text and ('"arguments"' in text or '"parameters"' in text)
