"""A terminal on which foreign text, such as that of a product, can do no more than be read."""

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
"""How control characters are written: those of terminals, and those that turn the direction of writing."""


class SafeConsole(Console):
    r"""Shows control characters in what is printed, as `\x1b`, and sends none but its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed, at any depth; those of rich itself, which move the cursor, are kept."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_CONTROLS), segment.style)
