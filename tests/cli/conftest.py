"""Fixtures of the command line: an environment and a model that only the tests have, and a finished run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

ROOT = Path(__file__).parents[2]
FAST = ["--env", "guess", "--reflector", "rules", "--episodes", "4", "--eval-tasks", "3", "--eval-every", "2"]
FAST += ["--action-tokens", "4", "--max-turns", "3", "--threads", "1"]
FAST += ["--turn-gate", "none", "--min-valid-actions", "0"]  # a random model follows no advice, and says nothing valid
Hero = Callable[..., Result]


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a directory that, on the path, registers environments as an installed package would."""
    path = tmp_path_factory.mktemp("plugins")
    info = path / "guess-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guess\nVersion: 1.0\n")
    envs = {"guess": "GuessEnv", "located": "LocatedEnv", "given-up": "GivenUpEnv"}
    envs |= {"shared": "shared_env", "secretive": "SecretiveEnv", "plain": "PlainEnv"}
    lines = "".join(f"{name} = tests.doubles:{env}\n" for name, env in envs.items())
    (info / "entry_points.txt").write_text("[hero.envs]\n" + lines)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Saves a random model, and returns its directory."""
    from tests.tiny_models import random_model

    path = tmp_path_factory.mktemp("model")
    random_model(context=1024).save(path)
    return str(path)


@pytest.fixture
def hero(plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hero:
    """Runs the command in this process, in a directory of its own."""
    from hero_cli.main import app

    monkeypatch.syspath_prepend(str(plugins))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))  # so that what the command sets is undone

    def call(*arguments: object, typed: str = "") -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)

    return call


@pytest.fixture
def started(plugins: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command in a process of its own, after some code."""

    def start(*arguments: object, before: str = "", stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", f"{before}\nfrom hero_cli.main import main; main()", *map(str, arguments)]
        path = os.pathsep.join([str(plugins), str(ROOT), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def contents(path: Path) -> dict[str, bytes]:
    """Returns the content of each file in which equal runs are equal."""
    files = {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != "timings.jsonl"}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the directory of `finished` and of its output."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def finished(hero: Hero, model: str, shared: Path) -> Path:
    """Makes a finished run of four steps, once."""
    path = shared / "run"
    if not path.exists():
        result = hero("run", "--model", model, "--steps", 4, "--out", path, *FAST)
        assert result.exit_code == 0, result.output
        (shared / "output.txt").write_text(result.stdout)
    return path


def without_loading(errors: str) -> str:
    """Returns what a command wrote to standard error after the line that says what is loaded, which must be there."""
    line, text = errors.split(" ...\n", 1)
    assert line.startswith("loading ")
    return text


def refused(result: Result, *messages: str) -> None:
    """Checks that a command ended in an error for people: exit code 2, the messages, and no traceback."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for message in messages:
        assert message in " ".join(result.stderr.split())
