"""One process and two make the same run, and a run goes on with another number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from hero.distill.memory import GIB, ModelSize, estimate_memory
from hero.processes import Processes
from hero.runs.reader import latest_checkpoint, read_episodes, read_rows
from hero.types import Trajectory
from hero_cli.build import require_memory
from hero_cli.main import app
from hero_cli.resolve import settings_of
from tests.test_processes import free_port
from tests.tiny_models import random_model

RUN = ["run", "--episodes", "6", "--group-size", "2", "--eval-tasks", "1", "--eval-every", "2", "--threads", "1"]


def hero(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def shared_by_two(*arguments: str) -> str:
    """Runs the command in two processes, with the variables that torchrun sets; returns the output of both.

    torchrun itself gives a group up that a busy machine starves for some seconds.
    """
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "hero_cli", *arguments],
            env=os.environ | group | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return "".join(output for output, _ in outputs)


def test_torchrun_sets_the_variables_that_are_read() -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, "-m", "hero_cli", "eval", "tiny"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "hero eval does not share its work among processes" in done.stderr


def ids(trajectory: Trajectory) -> list[tuple[int, ...]]:
    return [turn.action.tokens.action_ids for turn in trajectory.turns if turn.action.tokens]


def weights(path: Path) -> dict[str, Tensor]:
    checkpoint = latest_checkpoint(path)
    assert checkpoint is not None
    return load_file(checkpoint.trainer / "model.safetensors")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alone") / "run"
    hero(*RUN, "--steps", "2", "--out", str(path))
    return path


def assert_equal(shared: Path, alone: Path, *, learning_rate: float = 2e-4, outliers: float = 0.0) -> None:
    """Checks that two runs of equally many steps are equal, up to rounding.

    Args:
        outliers: share of a tensor's weights that may differ more, since AdamW makes a step of a gradient near 0, too.
    """
    for one, other in zip(read_episodes(shared), read_episodes(alone), strict=True):
        assert ids(one.trajectory) == ids(other.trajectory)
        assert one.diagnosis == other.diagnosis
    for row, expected in zip(read_rows(shared, "steps"), read_rows(alone, "steps"), strict=True):
        assert row.pop("update") == pytest.approx(expected.pop("update"), rel=1e-4, abs=1e-6)
        assert row == expected
    assert read_rows(shared, "evals")[:2] == read_rows(alone, "evals")[:2]
    others = weights(alone)
    for name, weight in weights(shared).items():
        same = (weight - others[name]).abs() < learning_rate / 10  # a step moves a weight by about the rate
        assert same.float().mean() >= 1 - outliers


def test_two_processes_make_the_run_of_one_and_one_goes_on_with_it(alone: Path, tmp_path: Path) -> None:
    shared = tmp_path / "run"
    output = shared_by_two(*RUN, "--steps", "1", "--out", str(shared))
    assert output.count("step 1/1") == 1  # only the first process reports
    hero("run", "--resume", "--out", str(shared), "--steps", "2")
    assert_equal(shared, alone)


def test_two_processes_train_one_adapter(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    adapted = [*RUN, "--lora", "4", "--steps", "1"]
    hero(*adapted, "--out", str(one))
    shared_by_two(*adapted, "--out", str(two))
    assert weights(one).keys() == weights(two).keys()
    assert all("lora_" in name for name in weights(two))
    assert_equal(two, one, learning_rate=2e-3, outliers=0.01)


def test_two_processes_that_split_the_model_go_on_with_a_run(alone: Path, tmp_path: Path) -> None:
    shared = tmp_path / "run"
    shared_by_two(*RUN, "--steps", "1", "--shard", "--out", str(shared))
    shared_by_two("run", "--resume", "--out", str(shared), "--steps", "2")
    assert_equal(shared, alone)


def test_a_model_cannot_be_split_among_one_process(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*RUN, "--shard", "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "--shard splits the model among processes, and this one is alone" in result.output


def test_processes_split_what_does_not_fit_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, lm = settings_of({}), random_model()
    limits = {"micro_batch_tokens": 16_384, "sequences": 64, "kv_cache_bytes": lm.kv_cache_bytes}
    estimate = estimate_memory(ModelSize.of(lm.model), teacher_weights="ema", **limits)
    monkeypatch.setattr("hero.distill.memory.device_memory", lambda device: estimate.peak - 1)
    assert require_memory(settings, lm, Processes(0, 4)).text.endswith("; --shard would fit")
    too_much = require_memory(settings, lm)
    assert "--shard" not in too_much.text
    assert not too_much.fits
    assert require_memory(replace(settings, shard=True), lm, Processes(0, 4)).fits
    monkeypatch.setattr("hero.distill.memory.device_memory", lambda device: 8 * GIB)
    assert require_memory(settings, lm) == (f"training takes up to {estimate.peak / GIB:.1f} of 8.0 GiB", True)


def test_keys_and_values_that_do_not_fit_are_to_be_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, lm = replace(settings_of({}), kv_cache_gib=6.0), random_model(context=100_000)
    monkeypatch.setattr("hero.distill.memory.device_memory", lambda device: 5 * GIB)
    assert require_memory(settings, lm).text.endswith("; --kv-cache-gib=2.0 would fit")
    assert require_memory(replace(settings, kv_cache_gib=2.0), lm).fits
    assert require_memory(replace(settings, max_tokens=1000), lm).fits


EXITS = """
import atexit, sys, threading, time, hero_cli.app
def end():
    threading.Thread(target=lambda: (time.sleep(0.5), print('the thread is done'))).start()
    atexit.register(print, 'left in order')
    sys.exit('because')
hero_cli.app.app = end
"""
KEEPS = """
import atexit, os, sys
class Kept:
    def __del__(self, write=os.write): write(1, b'torn down')
sys.kept = Kept()
atexit.register(print, 'left in order')
"""


def test_a_process_that_has_others_ends_as_any_other(
    started: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits for threads, runs what was registered, and prints the reason of an exit that is no number."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    process = started(before=EXITS)
    assert process.communicate(timeout=100) == ("the thread is done\nleft in order\n", "because\n")
    assert process.returncode == 1


@pytest.mark.parametrize(("command", "code"), [("--help", 0), ("--nothing", 2)])
def test_a_process_that_has_others_is_not_torn_down(
    started: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    process = started(command, before=KEEPS)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == code
    assert "Usage" in (errors if code else output)
    assert output.endswith("left in order\n")


@pytest.mark.parametrize("command", [["eval", "tiny"], ["compare"], ["data", "webshop"]])
def test_other_commands_are_not_shared(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert f"hero {command[0]} does not share its work among processes; start it without torchrun" in result.output
