"""Evaluations of different seeds are paired by task, and an answer that is kept is not asked for again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.transfer import evaluate, successes


def answer(**successes: bool) -> dict[str, Any]:
    return {"outcomes": [{"task_id": task, "success": success} for task, success in successes.items()]}


def test_tasks_are_paired_by_name_and_not_by_their_place() -> None:
    values = successes([answer(a=True, b=False, c=False), answer(c=True, b=False, a=True)])
    assert values.tolist() == [[1, 0, 0], [1, 0, 1]]


def test_an_answer_that_is_there_is_read(tmp_path: Path) -> None:
    kept = tmp_path / "run.json"
    kept.write_text(json.dumps(answer(a=True)), "utf-8")
    run: Any = SimpleNamespace(path=tmp_path / "no run", seed=0)
    assert evaluate(run, [], False, kept) == answer(a=True)
