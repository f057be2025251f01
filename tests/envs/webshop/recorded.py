"""Recorded answers of the original, where they are at hand: without a licence, they stay out of the repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "webshop"
DATA = FOLDER / "data"
needs_recordings = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="needs the original's data and recorded answers in ../shared/webshop"
)


def lines(name: str) -> list[dict[str, Any]]:
    """Returns the records of one recording."""
    with (FOLDER / "parity" / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]
