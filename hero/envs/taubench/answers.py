"""Answers to a call that report an error, in the original's words; the environment writes and the rules read them."""

from __future__ import annotations

from typing import Final

ORDER_NOT_FOUND: Final = "order not found"

_ERROR: Final = "Error: "
_UNKNOWN_TOOL: Final = "Unknown action "


def error(reason: object) -> str:
    """Returns the answer to a call that fails for that reason."""
    return f"{_ERROR}{reason}"


def unknown_tool(name: str) -> str:
    """Returns the answer to a call of a tool that does not exist."""
    return f"{_UNKNOWN_TOOL}{name}"


def is_error(answer: str) -> bool:
    """Returns whether an answer to a call reports an error."""
    return answer.startswith((_ERROR, _UNKNOWN_TOOL))


def error_reason(answer: str) -> str:
    """Returns the reason in an answer that reports an error; the whole text where it names a tool that is unknown."""
    return answer.removeprefix(_ERROR)
