"""Runs as a comparison sees them, made without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hero.comparison.curve import Curve, SuccessByTask
from hero.comparison.runs import Cost, RunRecord

COST = Cost(100, 2000, 300, 4000, 50.0, 25.0)


def record(
    points: Sequence[tuple[int, SuccessByTask]] = ((0, {"a": 0.0}),),
    *,
    path: str = "run",
    seed: int = 0,
    finished: bool = True,
    environment: Mapping[str, Any] = MappingProxyType({}),
    weights: str = "",
    steps: Sequence[Mapping[str, Any]] = (),
    **settings: Any,
) -> RunRecord:
    """Makes a run of a learner `distill` with some settings and evaluations, whose last step began at the last but one.

    Args:
        points: turns and success of each evaluation.
        steps: rows of steps.jsonl.
    """
    turns = tuple(turns for turns, _ in points)
    curve = Curve(turns, tuple(success for _, success in points), turns[-2] if len(turns) > 1 else 0, finished)
    defaults = {"learner": "distill", "turn_budget": None, "teacher_args": {}, "seed": seed, "threads": 1}
    return RunRecord(Path(path), defaults | settings, environment, weights, curve, steps, [], COST)
