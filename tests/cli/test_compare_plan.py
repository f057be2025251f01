"""Runs of a comparison are ordinary runs, in directories of their own, and asked for by the settings of their cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from hero_cli.compare_cells import read_cells
from hero_cli.compare_plan import _goes_on, cell_folder, plan_runs
from hero_cli.settings import Settings


def test_a_number_and_its_negative_have_directories_of_their_own() -> None:
    names = ["distill x=1", "distill x=-1", "distill 1e-4", "distill -.5", "distill .5", "a - b", "x=-inf", "x=[-1]"]
    assert [*map(cell_folder, names)] == [
        "distill-x-1", "distill-x-minus1", "distill-1e-4", "distill-minus.5", "distill-.5", "a-b",
        "x-minusinf", "x-minus1",
    ]  # fmt: skip


def test_runs_are_planned_seed_by_seed_and_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    cells = read_cells({"steps": 3}, ["distill"], ["No Advice!: --weight-decay 1 --learner grpo", "fast: --threads 5"])
    runs = plan_runs(cells, Path("c"), [4, 5], 3)
    assert [(run.cell, run.seed, str(run.path)) for run in runs] == [
        (name, seed, f"c/{folder}-seed{seed}")
        for seed in (4, 5)
        for name, folder in (("distill", "distill"), ("No Advice!", "no-advice"), ("fast", "fast"))
    ]
    assert [run.settings.threads for run in runs] == [2, 2, 5] * 2
    assert runs[4].arguments == (
        "--steps=3", "--learner=grpo", "--weight-decay=1.0", "--seed=5", "--threads=2", "--out=c/no-advice-seed5",
    )  # fmt: skip
    assert [run.settings.threads for run in plan_runs(cells, Path("c"), [0], 9)] == [1, 1, 5]
    logged = plan_runs(cells, Path("c"), [4, 5], 3, "wandb")
    assert [run.arguments for run in logged] == [(*run.arguments, "--log=wandb") for run in runs]


def test_a_run_that_stopped_by_itself_has_no_steps_left(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text('{"step":2,"turns":60}\n', "utf-8")
    (tmp_path / "evals.jsonl").write_text('{"step":2}\n', "utf-8")
    assert _goes_on(tmp_path, Settings(steps=3))
    assert not _goes_on(tmp_path, Settings(steps=3, turn_budget=60))
    (tmp_path / "evals.jsonl").write_text('{"step":2,"stopped":"success fell"}\n', "utf-8")
    assert not _goes_on(tmp_path, Settings(steps=3))
