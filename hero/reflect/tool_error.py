"""Recognise the error in what a tool answered, in the forms that tools of any kind write. Standard library only."""

from __future__ import annotations

import json
import re
from typing import Final

LONGEST: Final = 120
"""Maximum length of an error that is quoted, in characters."""
_KEYS: Final = ("error", "errors", "exception")
_LINE: Final = re.compile(
    r"(?:(?:[\w.]*(?:Error|Exception)|(?i:error|fatal|exception|bash|command not found))\s*(?:[:(\[]|$)"
    r"|Traceback \(most recent call last\))"
)


def tool_error(answer: str) -> str:
    """Returns the error that a tool answered with, at most `LONGEST` characters; "" where it answered none.

    An error is an object of JSON with a truthy `error`, `errors` or `exception`, with `isError`, or with `success`
    false; or a text that begins with a word such as `Error:` or `ValueError:`, or with Python's traceback, whose last
    line counts. Of several answers (see `hero.traces`) the first error counts.
    """
    parts = re.findall(r"<tool>\n(.*?)\n</tool>", answer, re.DOTALL) or [answer]
    return next(filter(None, map(_error, parts)), "")[:LONGEST]


def _error(answer: str) -> str:
    text = answer.strip()
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        named = next((record[key] for key in _KEYS if record.get(key)), None)
        if named is None and (record.get("isError") is True or record.get("success") is False):
            named = record.get("message") or record.get("content") or "not a success"
        if named is None:
            return ""
        return named if isinstance(named, str) else json.dumps(named, ensure_ascii=False)
    if not _LINE.match(text):
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if text.startswith("Traceback") else lines[0]
