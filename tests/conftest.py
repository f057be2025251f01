"""Settings of every test."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Idle threads that spin slow everything down where processes outnumber cores; torch reads this when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if "HERO_TEST_GPU" not in os.environ:  # they round otherwise; tests/test_gpu.py is for them
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("hero", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hero")


@pytest.fixture(autouse=True)
def _single_thread() -> None:
    """Small models are slower on many threads, and their sums depend on their number; never imports torch itself."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a small training run that is never interrupted."""
    from hero.runs.writer import Run
    from tests.loop import training

    path = tmp_path_factory.mktemp("finished") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run).run()
    return path
