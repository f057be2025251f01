"""Recorded answers of the original, where they are at hand: neither they nor its data are in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import STOP

FOLDER = Path(__file__).parents[4] / "shared" / "taubench"
DATA = FOLDER / "data" / "v1"
needs_recordings = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="needs the original's data and recorded answers in ../shared/taubench"
)


def lines(name: str) -> Iterator[dict[str, Any]]:
    """Yields the records of one recording."""
    with (FOLDER / "parity" / f"{name}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


class RecordedUser:
    """The user of the recordings, who replies ok to everything, and stops at BYE."""

    name = "recorded"

    def open(self, task: ServiceTask) -> str:
        return ""

    def reply(self, message: str) -> str:
        return STOP if message == "BYE" else "ok"
