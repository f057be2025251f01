"""One process and two make the same run, and a run goes on with another number of processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from hero.runs.reader import latest_checkpoint, read_episodes, read_rows
from hero.types import Trajectory
from hero_cli.main import app

RUN = ["run", "--episodes", "6", "--group-size", "2", "--eval-tasks", "3", "--eval-every", "2", "--threads", "1"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "hero_cli"]


def hero(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def torchrun(*arguments: str) -> str:
    return subprocess.run([*TORCHRUN, *arguments], capture_output=True, text=True, check=True).stdout


def ids(trajectory: Trajectory) -> list[tuple[int, ...]]:
    return [turn.action.tokens.action_ids for turn in trajectory.turns if turn.action.tokens]


def weights(path: Path) -> dict[str, Tensor]:
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    return load_file(checkpoint.trainer / "model.safetensors")


def test_two_processes_make_the_run_of_one_and_one_goes_on_with_it(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    hero(*RUN, "--steps", "2", "--out", str(alone))
    output = torchrun(*RUN, "--steps", "1", "--out", str(shared))
    assert output.count("step 1/1") == 1  # only the first process reports
    assert read_rows(shared, "evals")[:2] == read_rows(alone, "evals")[:2]
    hero("run", "--resume", "--out", str(shared), "--steps", "2")
    for one, other in zip(read_episodes(shared), read_episodes(alone), strict=True):
        assert ids(one.trajectory) == ids(other.trajectory)
        assert one.diagnosis == other.diagnosis
    for row, expected in zip(read_rows(shared, "steps"), read_rows(alone, "steps"), strict=True):
        assert row.pop("update") == pytest.approx(expected.pop("update"), rel=1e-4, abs=1e-6)
        assert row == expected
    others = weights(alone)
    for name, weight in weights(shared).items():
        assert (weight - others[name]).abs().max() < 2e-5  # a step moves a weight by 2e-4


@pytest.mark.parametrize("command", [["eval", "tiny"], ["compare"], ["data", "webshop"]])
def test_other_commands_are_not_shared(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert f"hero {command[0]} does not share its work among processes; start it without torchrun" in result.output
