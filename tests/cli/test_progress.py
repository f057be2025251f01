"""The display of a run while it goes on, and its report."""

from __future__ import annotations

import io
import re
from typing import Any

from rich.console import Console

from hero.evaluation import Evaluation
from hero.outcomes import Outcome
from hero.plan import Plan
from hero.types import Action, Message, Stop, Turn
from hero_cli.progress import LiveDisplay
from hero_cli.report import time_table
from hero_cli.terminal import estimate

PLAN = Plan(
    steps=4,
    turn_budget=None,
    episodes=8,
    group_size=1,
    eval_every=2,
    eval_tasks=5,
    temperature=1.0,
    max_turns=3,
    seed=0,
)


def step(index: int) -> dict[str, Any]:
    return {
        "step": index,
        "turns": 24 * index,
        "rollout": {"success": 0.25, "score": 31.4, "turns_per_episode": 3.0, "errors": 1},
        "reflection": {"turns_with_finding": 0.5},
        "update": {"loss": 0.125, "mismatch": 1e-7},
    }


def evaluated(step: int, mode: str, wins: int) -> dict[str, Any]:
    outcomes = tuple(Outcome(f"task-{task}", task < wins, 0.5, 3, 1.0, Stop.TERMINATED) for task in range(5))
    return {"step": step, "turns": 24 * step, "mode": mode} | Evaluation(outcomes).record()


def turn(**info: bool) -> Turn:
    return Turn((Message("user", "?"),), Action("a"), "o", 0.0, info=info)


def shown(display: LiveDisplay) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(display.renderable())
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_display_shows_progress_the_newest_step_and_the_evaluations() -> None:
    display = LiveDisplay(Console(file=io.StringIO(), force_terminal=True), PLAN, 0, 0)
    with display:
        display.on_phase_begin(0, "evaluation", 10)
        display.on_evaluate(evaluated(0, "sampled", 1))
        assert re.search(r"0 +0 +5 +20\.0 % \[3\.6, 62\.4\] +50\.0 ", shown(display))
        display.on_evaluate(evaluated(0, "greedy", 2))
        display.on_phase_begin(1, "rollout", 8)
        for _ in range(3):
            display.on_turn(0, turn(action_valid=True))  # three turns are the limit
        display.on_turn(1, turn(success=False))
        display.on_turn(2, turn(action_valid=True))
        assert "playing" in shown(display)
        assert "2/8 episodes" in shown(display)
        display.on_step_end(step(1))
    text = shown(display)
    assert "1/4 steps" in text
    assert "playing" not in text
    assert "20.0 % [3.6, 62.4]  40.0 % [11.8, 76.9]" in text
    assert next(line.split()[:5] for line in text.splitlines() if "31.4" in line) == ["1/4", "24", "25.0", "%", "31.4"]


def test_the_first_evaluation_stays_in_sight() -> None:
    display = LiveDisplay(Console(file=io.StringIO()), PLAN, 0, 0)
    display.on_evaluate(evaluated(0, "sampled", 2))
    display.on_evaluate(evaluated(0, "greedy", 1))
    for index in range(2, 20, 2):
        display.on_evaluate(evaluated(index, "sampled", 2))
    rows = [line.split() for line in shown(display).splitlines() if "40.0 %" in line]
    assert [row[0] for row in rows] == ["0", "12", "14", "16", "18"]
    assert [row.count("%") for row in rows] == [2, 1, 1, 1, 1]


def test_shares_of_time_are_those_of_the_phases() -> None:
    timings = [
        {"step": 0, "evaluation": 2.0},
        {"step": 1, "rollout": 1.0, "reflection": 0.5, "update": 2.5},
        {"step": 2, "rollout": 2.0, "reflection": 0.5, "update": 1.5},
    ]
    console = Console(file=io.StringIO(), width=160)
    console.print(time_table(timings, {}))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split() for line in lines[-4:]] == [
        ["rollout", "3.0", "30", "%", "1.50"],
        ["reflection", "1.0", "10", "%", "0.50"],
        ["update", "4.0", "40", "%", "2.00"],
        ["evaluation", "2.0", "20", "%"],
    ]


def test_estimates_read_as_numbers_with_their_interval() -> None:
    record = {"value": 0.26, "low": 0.204, "high": 0.325}
    assert estimate(record, percent=True) == "26.0 % [20.4, 32.5]"
    assert estimate(record, percent=True, signed=True) == "+26.0 % [+20.4, +32.5]"
    assert estimate({"value": 3.0, "low": None, "high": None}) == "3.0"
