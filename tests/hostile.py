"""Long texts that are made to be slow to parse, for every parser of model output or of pages."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

LONG = 100_000
LIMIT = 10.0
"""Seconds of processor time: linear work on such a text takes milliseconds, quadratic work minutes."""
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
    """Yields texts of some length: after each start and on its own, a piece over and over, and an end."""
    for index, piece in enumerate(PIECES):
        body = piece * (length // len(piece))
        for shift, start in enumerate(("", *starts), index):
            yield start + body + ENDS[shift % len(ENDS)]


def actions() -> Iterator[str]:
    """Yields such texts in the forms that an action has, and nearly has."""
    for piece in PIECES:
        body = piece * (LONG // len(piece))
        yield from (f"search[{body}]", f"click[{body}]", f"click[{body}", f"[{body}]")


@contextmanager
def limited(text: str) -> Iterator[None]:
    """Interrupts the block, and fails, once its work on a text takes longer than `LIMIT`.

    The alarm counts the time of this process alone, so that nothing depends on how busy the machine is. A system
    without it (Windows) waits.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(signal_number: int, frame: object) -> None:
        pytest.fail(f"more than {LIMIT} seconds for {text[:40]!r}...")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def call_with_each(function: Callable[[str], object], inputs: Iterable[str]) -> None:
    """Calls a function with each of some texts, within the limit."""
    for text in inputs:
        with limited(text):
            function(text)
