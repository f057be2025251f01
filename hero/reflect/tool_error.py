"""Recognise the error in what a tool answered, in the forms that tools of any kind write. Standard library only."""

from __future__ import annotations

import json
import re
from typing import Final

LONGEST: Final = 120
"""Maximum length of an error that is quoted, in characters."""
_KEYS: Final = ("error", "errors", "exception")
_LINE: Final = re.compile(
    r"(?:[\w.]*(?:Error|Exception)|(?i:error|fatal|exception))(?:\s*:|$)"
    r"|Traceback \(most recent call last\)"
    r"|-?(?:[\w./-]*/)?(?:a|ba|c|da|fi|k|mk|pw|rba|tc|z)?sh: (?:(?:line )?\d+: )?.*(?i:not found|no such file)",
    re.MULTILINE,
)
_NONE: Final = ("none", "null", "no", "")


def tool_error(answer: str) -> str:
    """Returns the error that a tool answered with, at most `LONGEST` characters; "" where it answered none.

    An error is an object of JSON that says something under `error`, `errors` or `exception`, with `isError`, or with
    `success` false; or a text that begins with a word and a colon such as `Error:` or `ValueError:`, with a shell that
    finds nothing, or with Python's traceback, whose last line counts. Of several answers (see `hero.traces`) the first
    error counts.
    """
    parts = re.findall(r"<tool>\n(.*?)\n</tool>", answer, re.DOTALL) or [answer]
    return next(filter(None, map(_error, parts)), "")[:LONGEST]


def _is_error(value: object) -> bool:
    """Returns whether a field tells of an error: words, a list or an object that hold some, or true; not a number."""
    if isinstance(value, str):
        return value.strip().lower() not in _NONE
    return value is True or (isinstance(value, list | dict) and bool(value))


def _error(answer: str) -> str:
    text = answer.strip()
    if text.startswith("{"):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        named = next((record[key] for key in _KEYS if _is_error(record.get(key))), None)
        if named is None and (record.get("isError") is True or record.get("success") is False):
            named = record.get("message") or record.get("content") or "not a success"
        if named is None:
            return ""
        return named if isinstance(named, str) else json.dumps(named, ensure_ascii=False)
    if not _LINE.match(text) or text.partition(":")[2].strip().lower() in {"none", "null"}:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if text.startswith("Traceback") else lines[0]
