"""The walk of docs/add-an-env.md: a package with an environment, rules and defaults, installed, played and trained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

PAGE = (ROOT / "docs" / "add-an-env.md").read_text("utf-8")
BLOCK = re.compile(r"^```(?:python|toml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns environment variables of a process in which the package of the page is installed."""
    project, target = tmp_path_factory.mktemp("higher-lower"), tmp_path_factory.mktemp("site-packages")
    for section in PAGE.split("\n## "):
        file = section.partition("\n")[0].rpartition(" ")[2]
        if file.endswith((".py", ".toml")):
            (project / file).parent.mkdir(exist_ok=True)
            (project / file).write_text("".join(BLOCK.findall(section)), "utf-8")
    (project / "higher_lower" / "__init__.py").touch()
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target", target, project]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}


def test_it_is_made_by_name_and_by_its_gymnasium_id(installed: dict[str, str], tmp_path: Path) -> None:
    code = """
import gymnasium, hero.envs
hero.envs.register()
named = hero.envs.make("higher-lower", split="test")
made = gymnasium.make("HigherLower-v0", split="test", render_mode="ansi")
assert named.reset(seed=3) == made.reset(seed=3)
assert made.render() == "What is your guess?"
assert type(made.unwrapped).__module__ == "higher_lower.env"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=installed)


def test_it_is_trained_with_its_own_defaults_and_rules(installed: dict[str, str], model: str, tmp_path: Path) -> None:
    hero = [sys.executable, "-c", "from hero_cli.main import main; main()"]
    small = ["--min-valid-actions", "0"]  # a random model says nothing valid
    small += ["--steps", "1", "--episodes", "4", "--eval-tasks", "3", "--threads", "1", "--out", "run"]
    command = [*hero, "run", "--env", "higher-lower", "--model", model, *small]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["max_turns"], settings["action_tokens"]) == (8, 12)
    episodes = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert len(episodes) == 4
    # A random model guesses nothing that can be read: the rules of the package advise the middle on every turn.
    assert json.dumps(episodes[0]["diagnosis"]).count("guess[49]") == len(episodes[0]["trajectory"]["turns"]) == 8


def test_its_rules_load_without_gymnasium(installed: dict[str, str], tmp_path: Path) -> None:
    code = """
import sys
from hero.reflect.rules import RulesReflector
from hero.types import Action, Message, Stop, Trajectory, Turn
turn = Turn(prompt=(Message("user", "?"),), action=Action("x"), observation="?", reward=0.0)
(diagnosis,) = RulesReflector().reflect([Trajectory("higher-lower", "1", 0, (turn,), Stop.MAX_TURNS)])
assert diagnosis.findings[0].advice == "guess[49]", diagnosis
assert "gymnasium" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=installed)
