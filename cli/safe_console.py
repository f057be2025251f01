"""A console that prints text from outside, such as that of a product, without letting it control the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_KEPT: Final = "\n\t"
_CONTROLS: Final = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in _KEPT
}
"""Escapes of control characters: those of terminals, and those that change the direction of writing."""


class SafeConsole(Console):
    r"""Prints control characters of a text as escapes, such as `\x1b`; the terminal receives only those of rich."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields segments with escaped text; control segments, with which rich moves the cursor, stay as they are."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_CONTROLS), segment.style)
