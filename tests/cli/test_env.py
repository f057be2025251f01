"""`hero env` and `hero list`: a new project works as it is written, and a broken environment is told why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Hero, refused

COMMAND = [sys.executable, "-P", "-c", "from hero_cli.main import main; main()"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a new project, as a user does."""
    folder = tmp_path_factory.mktemp("new")
    run(folder, "env", "new", "my-game")
    return folder / "my-game"


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """Runs the command in a directory, and returns its output."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_new_project_keeps_the_contract_and_is_short(project: Path) -> None:
    out = run(project, "env", "check", "my_game.env:MyGame", "--script", "my_game.script:play")
    assert out.count("ok  ") == 11
    assert out.endswith("my_game.env:MyGame keeps the contract\n")
    assert len((project / "my_game" / "env.py").read_text().splitlines()) < 100
    assert len((project / "README.md").read_text().splitlines()) <= 10
    texts = [path.read_text() for path in project.rglob("*") if path.suffix in {".py", ".toml", ".md"}]
    assert len(texts) == 6
    assert not any("$" in text for text in texts)


def test_its_tests_pass_and_check_each_point_by_itself(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    path = os.pathsep.join([str(project), str(ROOT)])
    done = subprocess.run(command, cwd=project, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout


def test_it_is_rendered_where_that_is_asked_for(project: Path) -> None:
    code = """
from my_game.env import MyGame
env = MyGame(render_mode="ansi")
assert env.render() == "" != env.reset(seed=0)[0] == env.render()
"""
    path = os.pathsep.join([str(project), str(ROOT)])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project, env=os.environ | {"PYTHONPATH": path})


def test_its_code_is_clean(project: Path) -> None:
    lint = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,W,I,B,UP", "--line-length", "120"]
    done = subprocess.run([*lint, "."], cwd=project, capture_output=True, text=True)
    if "No module named ruff" in done.stderr:
        pytest.skip("ruff is not installed")
    assert done.returncode == 0, done.stdout


def test_a_base_is_warmed_by_its_script_and_a_run_starts_from_it(project: Path, tmp_path: Path) -> None:
    base, where = tmp_path / "a base", ["--env", "my_game.env:MyGame"]
    players = ["--script", "my_game.script:play", "--habit", "my_game.script:careless"]
    short = ["--skill-steps", "3", "--habit-steps", "2", "--threads", "1"]
    out = run(project, "warm", *where, *players, *short, "--out", str(base))
    assert "playing my-game by my_game.script:play\nskill  step 3 of 3  loss " in out
    assert "skill  solves 0 % of the validation tasks\nwarning: below 50 % it may not know what is right" in out
    assert out.endswith(f"hero run --env my_game.env:MyGame --model '{base}'\n")
    assert {path.suffix for path in base.iterdir()} == {".json", ".safetensors", ".tiktoken"}
    assert json.loads((base / "warm.json").read_text())["skill_steps"] == 3
    small = ["--steps", "1", "--episodes", "2", "--eval-tasks", "2", "--threads", "1", "--min-valid-actions", "0"]
    run(project, "run", *where, "--model", str(base), *small, "--reflector", "rules", "--out", str(tmp_path / "run"))
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["max_turns"], settings["action_tokens"]) == (6, 16)


def test_a_policy_whose_actions_do_nothing_is_not_trained(project: Path, model: str, tmp_path: Path) -> None:
    small = ["--steps", "1", "--episodes", "2", "--eval-tasks", "2", "--threads", "1", "--out", str(tmp_path / "run")]
    command = [*COMMAND, "run", "--env", "my_game.env:MyGame", "--model", model, "--turn-gate", "none", *small]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].startswith(
        "error: 0.0 % of the policy's actions are valid before training, and with less than"
    )
    assert "hero warm" in done.stderr


def test_an_unfinished_base_goes_on_with_the_same_options_alone(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "players.py").write_text(
        "def play(messages):\n    return ['red', 'green', 'blue'][int(messages[1].content.split()[1][:-1]) % 3]\n"
    )
    warm = ["warm", "--env", "guess", "--script", "players:play", "--out", "base", "--max-turns", 3, "--threads", 1]
    short = ["--skill-steps", 2, "--habit-steps", 1]
    assert hero(*warm, *short).exit_code == 0
    refused(hero(*warm, *short), "base holds a model already; give another --out")
    (tmp_path / "base" / "model.safetensors").unlink()
    changed = "base was begun with other options or scripts ("
    refused(hero(*warm, "--skill-steps", 3, "--habit-steps", 1), f"{changed}skill_steps;")
    source = tmp_path / "players.py"
    source.write_text(source.read_text() + "# another\n")
    refused(hero(*warm, *short), f"{changed}sources;")
    source.write_text(source.read_text().removesuffix("# another\n"))
    assert hero(*warm, *short).exit_code == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    refused(hero(*warm[:6], "full", *warm[7:], *short), "full is not an empty directory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["env", "new", "My Game"], "'My Game' is not possible as a name"),
        (["env", "new", "class"], "'class' is not possible as a name"),
        (["env", "new", "none"], "'none' is not possible as a name"),
        (["env", "new", "point"], "the name point is that of another package or of a part of HERO"),
        (["env", "new", "webshop"], "there is an environment webshop already"),
        (["env", "new", "json"], "the name json is that of another package"),
        (["env", "new", "step-result"], "the name step-result is that of another package or of a part of HERO"),
        (["env", "check", "nowhere"], "hero.envs has no 'nowhere'; "),
        (["env", "check", "guess", "--script", "play"], "--script play is not module:function"),
        (
            ["env", "check", "guess", "--script", "json:nothing"],
            "--script 'json:nothing' cannot be imported: module 'json'",
        ),
        (
            ["env", "check", "guess", "--script", "tests.doubles:WORDS"],
            "WORDS is ('red', 'green', 'blue'), not a function",
        ),
        (
            ["warm", "--env", "guess", "--script", "builtins:len", "--out", "b"],
            "the script returned 2; it has to",
        ),
        (["env", "check", "guess", "--env-arg", "size=3"], "guess (hero.envs) has no option 'size'"),
    ],
)
def test_mistakes_are_named(hero: Hero, arguments: list[str], message: str) -> None:
    refused(hero(*arguments), message)


def test_a_directory_that_holds_something_is_left_alone(hero: Hero, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").write_text("mine")
    refused(hero("env", "new", "my-game", "--out", "here"), "here is not an empty directory; give another one")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["notes.txt"]


BROKEN = """
from hero.envs.base import StepResult, TextEnv

class Broken(TextEnv):
    env_id, num_tasks = "broken", 2

    def __init__(self, split="train"):
        super().__init__()

    def begin(self, task):
        return "Say a number.", {}

    def apply(self, action):
        return StepResult("Well.", reward=float(int(action)))
"""


def test_each_broken_point_says_what_and_why(hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = hero("env", "check", "broken:Broken")
    assert result.exit_code == 1
    assert "ok      declares its name, tasks, tools, baseline and provenance" in result.stdout
    told = result.stdout[result.stdout.index("broken  accepts any string as an action") :]
    assert told.splitlines()[1].startswith("        what   the action '' raised ValueError(")
    assert told.splitlines()[2] == "        why    models write anything"
    assert " points of the contract" in result.stdout.splitlines()[-1]


def test_environments_are_listed_with_their_package_and_tasks(hero: Hero) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in hero("env", "list").stdout.splitlines()}
    assert rows["guess"] == ["guess", "12", "12", "12"]
    assert rows["webshop"] == ["hero-agents", "720", "240", "240"]
    assert rows["gym"] == ["hero-agents", "as", "gym:ID"]


def test_all_components_are_listed(hero: Hero) -> None:
    rows = [line.split() for line in hero("list").stdout.splitlines()]
    assert ["environment", "guess", "guess", "tests.doubles:GuessEnv"] in rows
    assert ["learner", "distill", "hero-agents", "hero.distill.learners:Distillation"] in rows


def test_a_name_that_needs_an_argument_is_no_end_of_the_list(hero: Hero, plugins: Path) -> None:
    assert "given-up" in hero("env", "list").stdout
