"""The benchmark of sampling with an adapter runs, and all of its arms sample."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import adapters, random_model


def run(main: object, *arguments: str) -> str:
    app = typer.Typer()
    app.command()(main)  # type: ignore[type-var]
    result = CliRunner().invoke(app, list(arguments))
    return result.output if result.exit_code == 0 else f"{result.exit_code} {result.output}"


def test_every_arm_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    monkeypatch.setattr(adapters, "ROWS", (1, 2))
    monkeypatch.setattr(adapters, "PROMPT", 4)
    figures = json.loads(run(adapters.main, "--tokens", "1", "--repeats", "1").splitlines()[-1])["figures"]
    assert [row["rows"] for row in figures] == [1, 2]
    assert all(rate > 0 for row in figures for rate in row.values())


def test_a_model_of_no_known_shape_is_named() -> None:
    assert "Qwen9 is none of Qwen3-4B" in " ".join(run(random_model.main, "Qwen9", "out", "--ranks", "x").split())
