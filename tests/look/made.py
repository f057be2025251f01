"""Run directories with given episodes, as a run writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hero.look.entries import Entry
from hero.runs.reader import Episode, ValidationEpisode
from hero.runs.writer import Run
from hero.types import Diagnosis, Trajectory
from tests.runs.steps import trainer

SETTINGS = {"env": "webshop", "seed": 3, "reflector": "rules", "learner": "distill"}


def eval_row(step: int, mode: str = "sampled", success: float = 0.5) -> dict[str, Any]:
    estimate = {"value": success, "low": max(0.0, success - 0.1), "high": min(1.0, success + 0.1)}
    return {"step": step, "turns": 10 * step, "mode": mode, "tasks": 20, "success": estimate, "score": estimate}


def write_run(
    path: Path,
    played: Sequence[tuple[int, Trajectory, Diagnosis]],
    validation: Sequence[tuple[int, str, Trajectory]] = (),
    steps: Sequence[dict[str, Any]] = (),
    settings: dict[str, Any] = SETTINGS,
) -> Path:
    """Writes a run of some training and validation episodes."""
    with Run.create(path, settings) as run:
        run.record("episodes", *(Episode(*each).record() for each in played))
        run.record("validation", *(ValidationEpisode(*each).record() for each in validation))
        last = max([step for step, *_ in played], default=0)
        rows = steps or [
            {"step": step, "turns": step, "update": {"loss": 1 / step}, "alarms": []} for step in range(1, last + 1)
        ]
        run.record("steps", *rows)
        run.record("evals", *(eval_row(step) for step in range(last + 1)))
        run.save_checkpoint(last, trainer("x"), best=last)
    return path


def entry(trajectory: Trajectory, number: int = 1, diagnosis: Diagnosis | None = None, step: int = 1) -> Entry:
    return Entry("training", number, step, "sampled", trajectory, diagnosis)
