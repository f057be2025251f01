"""Report what models behind endpoints were asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console


def report_usage(console: Console, parts: Iterable[Any]) -> None:
    """Prints requests, tokens and dollars of those parts that have asked an endpoint; nothing where none has.

    Args:
        parts: reflectors, policies and environments; what they have used is their attribute `usage`.
    """
    used = {id(usage): usage for part in parts if (usage := getattr(part, "usage", None)) is not None}.values()
    if calls := sum(usage.calls for usage in used):
        prompt, completion = sum(u.prompt_tokens for u in used), sum(u.completion_tokens for u in used)
        dollars = sum(usage.dollars for usage in used)
        price = f", ${dollars:.2f}" if dollars else ""
        text = f"{calls:,} requests, {prompt:,} tokens read and {completion:,} written{price}"
        console.print(f"endpoint       {text}", markup=False)
