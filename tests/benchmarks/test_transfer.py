"""Evaluations are paired by seed and by task, and an answer that is there is not asked for again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmarks import transfer


def answer(**successes: bool) -> dict[str, Any]:
    return {"outcomes": [{"task_id": task, "success": success} for task, success in successes.items()]}


def cell(name: str, *seeds: int) -> Any:
    return SimpleNamespace(name=name, runs=[SimpleNamespace(seed=seed, path=Path(f"{name}-{seed}")) for seed in seeds])


def test_runs_are_paired_by_seed_and_by_the_name_of_the_task() -> None:
    answers = {
        Path("base-0"): answer(a=True, b=False, c=False, only_here=True),
        Path("base-1"): answer(c=True, b=False, a=True),
        Path("grpo-1"): answer(b=False, c=True, a=True),
        Path("grpo-2"): answer(a=False, b=False, c=False),
    }
    table = transfer.success_table([cell("base", 0, 1), cell("grpo", 1, 2)], answers, "base")
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    base, grpo = capture.get().splitlines()[1:]
    assert base.split()[:4] == ["base", "2", "3", "50.0"]
    assert grpo.split()[:4] == ["grpo", "2", "3", "33.3"]
    assert "+0.0 [" in grpo  # of seed 1 alone, whose successes are the same


def test_an_answer_is_kept_for_the_checkpoint_that_it_is_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = SimpleNamespace(path=tmp_path / "run", seed=3)
    commands = list[list[str]]()

    def hero(command: list[str], **_: object) -> Any:
        commands.append(command)
        return SimpleNamespace(stdout=json.dumps(answer(a=True)).encode())

    monkeypatch.setattr(transfer.subprocess, "run", hero)
    for step in (1, 1, 2):
        monkeypatch.setattr(transfer, "read_checkpoint", lambda *_, step=step: step)
        assert transfer.evaluate(run, ["--tasks", "1"], tmp_path / "kept") == answer(a=True)
    assert [command[3:] for command in commands] == [
        ["eval", str(run.path), "--tasks", "1", "--seed", "3", "--json"]
    ] * 2
