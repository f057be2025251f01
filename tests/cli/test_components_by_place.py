"""Components that no package registers, named as `module:Class` and found in the working directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hero.errors import ConfigError
from hero_cli.learner import read_learner
from tests.cli.conftest import ROOT, Hero, refused

PARTS = '''
"""What somebody keeps in a file of their own."""
import gymnasium
from gymnasium import spaces
from hero.distill.learners import Distillation
from hero.models.tiny import load
from hero.reflect.rules import RulesReflector


class Doors(gymnasium.Env):
    observation_space, action_space = spaces.Text(99), spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.right = int(self.np_random.integers(2))
        return f"Behind which door? Not {1 - self.right}.", {}

    def step(self, action):
        return "Opened.", float(action == self.right), True, False, {}


class Mine(RulesReflector):
    name = "mine"


class Gentle(Distillation):
    pass


def small():
    return load("MODEL")
'''


@pytest.fixture
def parts(tmp_path: Path, model: str) -> None:
    (tmp_path / "my_parts.py").write_text(PARTS.replace("MODEL", model), "utf-8")
    (tmp_path / "words.txt").write_text("Answer with one or two.", "utf-8")


@pytest.mark.usefixtures("parts")
def test_a_run_of_parts_in_the_working_directory(tmp_path: Path) -> None:
    places = {name: f"my_parts:{part}" for name, part in (("env", "Doors"), ("model", "small"), ("reflector", "Mine"))}
    places["learner"] = "my_parts:Gentle:0.5+grpo:0.5"
    options = ["--env-arg", 'actions=["one", "two"]', "--env-arg", "instructions=@words.txt", "--env-arg", "tasks=50"]
    options += [
        "--min-valid-actions",
        "0",
        "--steps",
        "1",
        "--episodes",
        "4",
        "--group-size",
        "2",
        "--eval-tasks",
        "3",
        "--max-turns",
        "2",
    ]
    named = [word for name, place in places.items() for word in (f"--{name}", place)]
    # -P keeps Python from looking into the working directory, as it does for the installed command.
    hero = [sys.executable, "-P", "-c", "from hero_cli.main import main; main()"]
    done = subprocess.run(
        [*hero, "run", *named, *options, "--threads", "1", "--turn-gate", "none", "--out", "run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert settings["env"] == "gym"
    assert settings["env_args"] == {
        "id": "my_parts:Doors",
        "actions": ["one", "two"],
        "instructions": "Answer with one or two.",
        "tasks": 50,
    }
    episode = json.loads((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()[0])
    assert episode["diagnosis"]["author"] == "mine"
    assert episode["trajectory"]["env"] == "my_parts:Doors"
    evaluated = subprocess.run(
        [*hero, "eval", "run", "--tasks", "3"], cwd=tmp_path, env=os.environ, capture_output=True, text=True
    )
    assert evaluated.returncode == 0, evaluated.stderr


def test_a_learner_by_its_place_may_have_weights() -> None:
    place = "hero.distill.learners:GRPO"
    (alone,) = read_learner(place).parts
    assert (alone.name, alone.start, alone.end) == (place, 1.0, 1.0)
    falling, rising = read_learner(f"{place}:1->0+distill:0->1").parts
    assert (falling.name, falling.start, falling.end) == (place, 1.0, 0.0)
    assert (rising.name, rising.start, rising.end) == ("distill", 0.0, 1.0)
    for text, message in (("grpo:half", "'half' is not a weight"), ("nowhere:Learner", "No module named 'nowhere'")):
        with pytest.raises(ConfigError, match=message):
            read_learner(text)


@pytest.mark.usefixtures("parts")
def test_a_place_or_a_file_that_is_not_there_is_named(hero: Hero) -> None:
    result = hero("play", "--env", "nowhere:Env")
    refused(result, "hero.envs 'nowhere:Env' cannot be imported: No module named 'nowhere'", "start hero where that")
    refused(hero("play", "--env-arg", "level=@no.txt"), "--env-arg level: cannot read no.txt: No such file")


KINDS = """
class Empty:
    pass


class Fails:
    def __init__(self):
        raise ValueError("out of ink")


def nothing():
    return None
"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learner", "kinds:Empty"], "the learner kinds:Empty is <kinds.Empty object"),
        (["--learner", "kinds:Fails"], "kinds:Fails (hero.learners) cannot be built: out of ink (ValueError)"),
        (["--reflector", "kinds:nothing"], "the reflector kinds:nothing is None, which has no method reflect"),
        (["--reflector", "kinds:Fails"], "kinds:Fails (hero.reflectors) cannot be built: out of ink (ValueError)"),
        (["--teacher", "kinds:Empty"], "the teacher kinds:Empty is <kinds.Empty object"),
        (["--model", "kinds:nothing"], "the model kinds:nothing is None, which has no method policy"),
        (["--model", "kinds:Fails"], "kinds:Fails (hero.models) cannot be built: out of ink (ValueError)"),
        (["--env", "kinds:Fails"], "the environment 'kinds:Fails' has no parameter split"),
    ],
)
def test_a_component_of_the_wrong_kind_is_named_before_anything_is_played(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    (tmp_path / "kinds.py").write_text(KINDS, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "kinds", raising=False)
    start = [] if "--model" in options else ["--model", model]
    small = ["--env", "guess", "--episodes", 4, "--eval-tasks", 3, "--steps", 1, "--threads", 1, "--action-tokens", 4]
    refused(hero("run", *small, *start, *options, "--out", "run"), message)
    assert not (tmp_path / "run").exists()
