"""A run that was written once, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hero.runs.writer import Run
from tests.runs.steps import SETTINGS, play


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a run of three complete steps."""
    path = tmp_path_factory.mktemp("made") / "run"
    with Run.create(path, SETTINGS) as run:
        play(run, 0, 3)
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    """Copies that run."""
    return shutil.copytree(made, tmp_path / "run")
