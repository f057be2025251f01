"""Long texts that are made to be slow, for whatever reads the words of a model or of a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

LONG = 100_000
SECONDS = 2.0
"""Linear work on such a text takes milliseconds, on a slow machine too; quadratic work takes minutes."""
PIECES = (
    *(" ", "\t", "\n", "[", "]", "(", ")", "{", "[]", "][", "[ ", "] ", "1", "1.", "$1", "a", "A", "_", "-", "- ", "*"),
    *(".", ",", ", ", ";", "; ", "|", "'", '"', "`", "``` ", "’", "@", "a@", "a.", "a'", "a-", "a ", "and ", "  and"),
    *("instead", "instead ", "instead:", "; instead", "turn ", "1 failed ", "size: ", ", size: a", "size: \n"),
    *(" in a", ", and ", "price lower than 1", ", and price lower than 1 dollars", "search[", "click["),
    *("with size ", "<think>", "ſ", "İ"),
    *(" [SEP] ", "a [SEP] ", "Instruction: [SEP] ", "Page 1 ", "Price: $1 [SEP] ", "\ud800", "e\u0301", "\u3000", "★"),
)  # fmt: skip
ENDS = ("", "x", "]", "\n", "\nx", "] x", "1", " dollars")


def texts(*starts: str, length: int = LONG) -> Iterator[str]:
    """Texts of some length: after each start and on its own, a piece over and over, and an end."""
    for number, piece in enumerate(PIECES):
        body = piece * (length // len(piece))
        for place, start in enumerate(("", *starts), number):
            yield start + body + ENDS[place % len(ENDS)]


def actions() -> Iterator[str]:
    """Such texts in the forms that an action has, and nearly has."""
    for piece in PIECES:
        body = piece * (LONG // len(piece))
        yield from (f"search[{body}]", f"click[{body}]", f"click[{body}", f"[{body}]")


def slowest(function: Callable[[str], object], inputs: Iterable[str]) -> tuple[float, str]:
    """The longest time in seconds that a function takes for one of some inputs, and the beginning of that input."""
    times = []
    for text in inputs:
        began = time.perf_counter()
        function(text)
        times.append((time.perf_counter() - began, text[:40]))
    return max(times)
