"""A run that was written once, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hero.runs.writer import Run
from tests.runs.steps import SETTINGS, play


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three complete steps, let go."""
    path = tmp_path_factory.mktemp("made") / "run"
    with Run.create(path, SETTINGS) as run:
        play(run, 0, 3)
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "run")
