"""Reads the words of a TauBench episode: the agent's questions, and the user's consent."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

from hero.envs.taubench.action import Call

QUESTIONS: Final = {
    "email": r"\be-?mail",
    "zip code": r"\bzip",
    "user id": r"\buser id",
    "order": r"\border (?:id|number)|\bwhich order",
    "reservation": r"\breservation (?:id|number|code)",
}
"""Patterns of the words by which an agent asks a user for something, by its name."""

_YES: Final = re.compile(
    r"\b(?:yes|yeah|yep|sure|correct|confirm(?:ed)?|go ahead|proceed|please do|ok(?:ay)?|that'?s right|sounds good)\b",
    re.IGNORECASE,
)
_NO: Final = re.compile(r"\s*(?:no\b|not\b|don'?t\b|wait\b|stop\b)", re.IGNORECASE)
_UNKNOWN: Final = re.compile(r"(?:do not|don't|can't|cannot) (?:remember|recall|know|have)", re.IGNORECASE)


def confirmation(call: Call) -> str:
    """Returns words that ask the user for a yes to a call."""
    details = ", ".join(f"{name} {_plain(value)}" for name, value in call.arguments.items())
    return f"I will {call.name.replace('_', ' ')} with {details}. Do you confirm (yes/no)?"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1024)
def consents(message: str) -> bool:
    """Returns whether a user's message says yes."""
    return bool(_YES.search(message)) and not _NO.match(message)


@lru_cache(maxsize=1024)
def asks_for(message: str) -> frozenset[str]:
    """Returns the keys of `QUESTIONS` that an agent's message asks for; empty where it asks nothing."""
    text = message.lower()
    asks = "?" in text or "please" in text or "provide" in text
    return frozenset(name for name, pattern in QUESTIONS.items() if asks and re.search(pattern, text))


@lru_cache(maxsize=1024)
def does_not_know(message: str) -> bool:
    """Returns whether a user's message says that the user does not know something."""
    return bool(_UNKNOWN.search(message))
