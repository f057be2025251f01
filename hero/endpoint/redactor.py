"""Removes secrets from texts, however an endpoint or a library spells them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable


class Redactor:
    """Replaces secrets in texts by asterisks.

    Each character of a secret is recognised in any way that a URL, JSON or an error message writes it: as it is, in
    percent encoding, as a JSON escape or behind a backslash.

    Args:
        secrets: texts to remove; empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(filter(None, secrets), key=len, reverse=True)
        self._pattern = re.compile("|".join("".join(map(_spellings, secret)) for secret in longest_first))

    def __call__(self, text: str) -> str:
        """Returns the text with *** in place of the secrets."""
        return self._pattern.sub("***", text) if self._pattern.pattern else text


def _spellings(character: str) -> str:
    """Returns a pattern that matches one character of a secret in every spelling."""
    percent = "".join(f"%{byte:02X}" for byte in character.encode())
    json_escape = re.escape(json.dumps(character)[1:-1])
    return rf"(?:(?i:{percent}|\\u{ord(character):04x})|{json_escape}|\\?{re.escape(character)})"
