"""What failed episodes cost is counted over the last sampled evaluation of each run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from benchmarks.failures import failure_table, last_outcomes
from hero.evaluation import Evaluation
from hero.outcomes import Outcome
from hero.types import Stop


def outcome(success: bool, turns: int, valid: float) -> Outcome:
    return Outcome(f"t-{turns}", success, float(success), turns, valid, Stop.TERMINATED)


def test_failed_episodes_are_counted_with_their_turns() -> None:
    outcomes = [outcome(False, 20, 0.5), outcome(True, 6, 1.0), outcome(True, 4, 1.0), outcome(True, 10, 0.9)]
    console = Console(width=120)
    with console.capture() as capture:
        console.print(failure_table({"a": outcomes, "none": [], "lost": outcomes[:1]}))
    assert [line.split() for line in capture.get().splitlines()[1:]] == [
        ["a", "4", "25", "50", "20.0", "6.7", "85"],
        ["lost", "1", "100", "100", "20.0", "50"],
    ]


def test_the_last_sampled_evaluation_of_each_run_counts(tmp_path: Path) -> None:
    first, last = outcome(False, 3, 1.0), outcome(True, 2, 1.0)
    rows: list[dict[str, Any]] = [
        {"mode": mode} | Evaluation((each,)).record()
        for mode, each in (("sampled", first), ("greedy", first), ("sampled", last), ("greedy", first))
    ]
    (tmp_path / "evals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cell: Any = SimpleNamespace(runs=[SimpleNamespace(path=tmp_path), SimpleNamespace(path=tmp_path / "not begun")])
    assert last_outcomes(cell) == [last]
