"""Write the page of a run: one HTML file that needs no network, and in which no text of a run can act."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from hero.look.story import Source, tell
from hero.runs import durable

PAGE = files("hero.look") / "page"


def write_page(file: Path, sources: Sequence[Source], *, max_episodes: int) -> int:
    """Writes the page of one run or several, and returns its size in bytes.

    Args:
        max_episodes: as for `tell`.

    Raises:
        RunError: a run cannot be read, or the file cannot be written.
    """
    told = tell(sources, max_episodes)
    data = json.dumps(told, separators=(",", ":"))
    style, library, script = (_part(*names) for names in (("uplot.css", "page.css"), ("uplot.js",), ("page.js",)))
    template = Environment(autoescape=True).from_string(_part("page.html"))
    page = template.render(
        title=", ".join(run["name"] for run in told["runs"]),
        hashes=[base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (library, script)],
        # The parts below are ours, or JSON without any character that HTML knows.
        style=Markup(style),
        library=Markup(library),
        script=Markup(script),
        data=Markup(data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")),
    )
    content = page.encode("utf-8", "replace")
    with durable.translate_write_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        durable.write(file, content)
    return len(content)


def _part(*names: str) -> str:
    return "\n".join(PAGE.joinpath(name).read_text("utf-8") for name in names)
