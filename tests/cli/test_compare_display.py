"""The display of a comparison that goes on."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from hero_cli.compare_display import ComparisonLines, ComparisonTable
from hero_cli.compare_plan import PlannedRun
from hero_cli.compare_runs import Status
from hero_cli.settings import Settings

SETTINGS = Settings(steps=None, turn_budget=3000)
RUNS = [
    PlannedRun(cell, seed, Path(f"{cell}-seed{seed}"), ("x",), SETTINGS)
    for seed in range(5)
    for cell in ("base", "feedback", "distill with a long name")
]


def console() -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    console.file.truncate(0)
    console.file.seek(0)
    return [line.rstrip() for line in lines]


def test_five_seeds_fit_into_80_columns() -> None:
    statuses = {run: Status("waiting") for run in RUNS}
    statuses |= {run: Status("finished", 9, 3010, 0.625) for run in RUNS[:3]}
    statuses |= {RUNS[3]: Status("running", 4, 1203, 0.5), RUNS[4]: Status("failed", error="no more of it")}
    statuses |= {RUNS[5]: Status("stopped", 2, 500, 0.25)}
    out = console()
    table = ComparisonTable(out)
    table.show(statuses)
    out.print(table.renderable())
    lines = printed(out)
    assert lines[:3] == [
        "3 of 15 runs finished",
        "base, seed 1  step 4  turns 1,203 of 3,000  success 50.0 %",
        "feedback, seed 1  no more of it",
    ]
    assert [line.split() for line in lines[3:]] == [
        "sampled success of seed 0 seed 1 seed 2 seed 3 seed 4".split(),
        "base 62.5 % 50.0 % … · · ·".split(),
        "feedback 62.5 % failed · · ·".split(),
        "distill with a long name 62.5 % 25.0 % stopped · · ·".split(),
    ]
    assert max(map(len, lines)) <= 80


def test_a_pipe_gets_a_line_for_whatever_is_new() -> None:
    out = console()
    lines = ComparisonLines(out)
    run, done = RUNS[:2]
    finished = Status("finished", 9, 3010, 0.625)
    lines.show({run: Status("waiting"), done: finished})
    assert printed(out) == []
    for status, text in (
        (Status("running"), "base, seed 0  running  step 0  turns 0 of 3,000"),
        (Status("running", 0, 0, 0.3), "base, seed 0  running  step 0  turns 0 of 3,000  success 30.0 %"),
        (Status("running", 1, 300, 0.3), None),
        (Status("failed", 1, 300, 0.3, "no more of it"), "base, seed 0  failed  no more of it"),
    ):
        lines.show({run: status, done: finished})
        assert printed(out) == ([text] if text else [])
