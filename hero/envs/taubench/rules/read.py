"""What the texts of a TauBench episode say: calls, questions and consent, read off actions and answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hero.chat.tool_calls import call_text

WRITES: Final = frozenset(
    "cancel_pending_order exchange_delivered_order_items modify_pending_order_address modify_pending_order_items "
    "modify_pending_order_payment modify_user_address return_delivered_order_items book_reservation "
    "cancel_reservation send_certificate update_reservation_baggages update_reservation_flights "
    "update_reservation_passengers".split()
)
"""Tools that change the database."""
READS: Final = ("find_", "get_", "list_", "search_", "calculate")
"""How the names of tools begin that only tell something."""
QUESTIONS: Final = {
    "email": r"\be-?mail",
    "zip code": r"\bzip",
    "user id": r"\buser id",
    "order": r"\border (?:id|number)|\bwhich order",
    "reservation": r"\breservation (?:id|number|code)",
}
"""What an agent asks a user for, by the words that show it."""

_YES: Final = re.compile(
    r"\b(?:yes|yeah|yep|sure|correct|confirm(?:ed)?|go ahead|proceed|please do|ok(?:ay)?|that'?s right|sounds good)\b",
    re.IGNORECASE,
)
_NO: Final = re.compile(r"\s*(?:no\b|not\b|don'?t\b|wait\b|stop\b)", re.IGNORECASE)
_UNKNOWN: Final = re.compile(r"(?:do not|don't|can't|cannot) (?:remember|recall|know|have)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call.

    Attributes:
        arguments: JSON values by name.
    """

    name: str
    arguments: Mapping[str, Any]

    @property
    def writes(self) -> bool:
        """Whether it would change the database."""
        return self.name in WRITES

    @property
    def reads(self) -> bool:
        """Whether it only tells something."""
        return self.name.startswith(READS)

    def text(self) -> str:
        """The call as an agent writes it."""
        return f"<tool_call>{json.dumps({'name': self.name, 'arguments': self.arguments})}</tool_call>"

    def question(self) -> str:
        """Words that ask for a yes to it."""
        details = ", ".join(f"{name} {_plain(value)}" for name, value in self.arguments.items())
        return f"I will {self.name.replace('_', ' ')} with {details}. Do you confirm (yes/no)?"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@lru_cache(maxsize=1024)
def read_call(action: str) -> Call | None:
    """The tool call that an action is; None for words to the user, and for a call that cannot be read."""
    text = call_text(action)
    if text is None:
        return None
    try:
        record = json.loads(text)
        arguments = record.get("arguments", record.get("parameters", {})) if isinstance(record, dict) else None
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict) or not isinstance(record.get("name"), str) or record["name"] == "respond":
        return None
    return Call(record["name"], arguments)


def is_error(observation: str) -> bool:
    """Whether an answer to a call is an error."""
    return observation.startswith(("Error:", "Unknown action "))


@lru_cache(maxsize=1024)
def consents(message: str) -> bool:
    """Whether a user's message says yes."""
    return bool(_YES.search(message)) and not _NO.match(message)


@lru_cache(maxsize=1024)
def asked(message: str) -> frozenset[str]:
    """What an agent's message asks for: keys of `QUESTIONS`; empty where it asks nothing."""
    text = message.lower()
    asks = "?" in text or "please" in text or "provide" in text
    return frozenset(name for name, pattern in QUESTIONS.items() if asks and re.search(pattern, text))


@lru_cache(maxsize=1024)
def does_not_know(message: str) -> bool:
    """Whether a user's message says that something is not known."""
    return bool(_UNKNOWN.search(message))
