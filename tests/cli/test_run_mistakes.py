"""Mistakes in the arguments of `hero run`, each reported before anything is written."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from hero import registry
from tests.cli.conftest import FAST, Hero, contents, refused
from tests.platforms import NEEDS_POSIX


def test_a_run_that_is_there_is_not_overwritten(finished: Path, hero: Hero, model: str) -> None:
    before = contents(finished)
    refused(hero("run", "--model", model, "--out", finished, *FAST), "already holds a run; choose another --out")
    assert contents(finished) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "gues"], "hero.envs has no 'gues'; did you mean 'guess'?"),
        (["--learner", "distil"], "hero.learners has no 'distil'; did you mean 'distill'?"),
        (["--reflector", "rule"], "hero.reflectors has no 'rule'; did you mean 'rules'?"),
        (
            ["--reflector", "shuffled"],
            "shuffled (hero.reflectors) needs the option 'of'; it takes:",
        ),
        (
            ["--reflector", "verdict", "--reflector-arg", "of=self", "--reflector-arg", 'of_args={"tokens": 9}'],
            "self (hero.reflectors) has no option 'tokens'",
        ),
        (["--env-arg", "colour"], "--env-arg 'colour' is not key=value"),
        (
            ["--env-arg", "colours=3"],
            "guess (hero.envs) has no option 'colours'; it takes: num_tasks: int = 12 broken: Sequence[int] = () "
            "(tasks in which the second step raises",
        ),
        (["--env-arg", "split=test"], "--env-arg split cannot be given"),
        (
            ["--learner", "grpo", "--reflector", "rules"],
            "--reflector rules does nothing with --learner grpo; leave it out",
        ),
        (
            ["--learner", "grpo", "--divergence", "forward_kl"],
            "--divergence forward_kl does nothing with --learner grpo",
        ),
        (["--learner", "grpo", "--group-size", "1"], "--group-size 1 leaves grpo nothing to compare"),
        (["--learner", "grpo+kl:x"], "--learner grpo+kl:x: 'x' is not a weight; give a number of at least 0"),
        (["--learner", "grpo", "--learner-arg", "clip=-1"], "clip = -1 is not possible; give more than 0"),
        (["--learner", "grpo+kl:0.1", "--learner-arg", "clip=0.1"], "--learner-arg clip: say of which part"),
        (["--learner", "feedback", "--reflector", "rules"], "--reflector rules does nothing with --learner feedback"),
        (["--episodes", "5", "--group-size", "2"], "--episodes 5 cannot be split into groups of 2"),
        (["--temperature", "0"], "--temperature 0.0 leaves nothing to learn from"),
        (["--temperature", "nan"], "--temperature nan leaves nothing to learn from"),
        (["--learning-rate", "-1"], "--learning-rate -1.0 is not possible"),
        (["--learning-rate", "inf"], "--learning-rate inf is not possible"),
        (["--eval-tasks", "13"], "--eval-tasks 13, but there are 12 validation tasks; give fewer"),
        (["--model", "hf"], "--model hf needs a model: give its directory"),
        pytest.param(["--out", "/dev/null/run"], "cannot write /dev/null/run", marks=NEEDS_POSIX),
        (["--env", "shared"], "the environment 'shared' returns one instance again and again"),
        (["--env", "plain"], "the environment 'plain' has no parameter split"),
        (["--resume"], "--resume needs --out, the directory of the run"),
        (["--resume", "--out", "."], "is not a run directory: it has no config.json"),
    ],
)
def test_mistakes_are_reported_before_anything_is_loaded_or_written(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    if "hf" not in arguments:
        monkeypatch.setattr("hero_cli.parts.load_trainable", lambda *choice: pytest.fail("the model was loaded"))
    refused(hero("run", "--env", "guess", "--eval-tasks", 3, *arguments), message)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_about_the_model_are_reported_before_anything_is_written(
    hero: Hero, model: str, tmp_path: Path
) -> None:
    for arguments, message in (
        (["--model", "tinny"], "there is no model 'tinny'; did you mean 'tiny'?"),
        (["--model", "~nobody-of-that-name/x"], "no model '~nobody-of-that-name/x'"),
        (["--model", "x" * 300], "no model 'xxx"),
        (["--model", model, "--action-tokens", 1024], "--action-tokens 1024 leaves no room for a prompt"),
        (
            ["--model", model, "--reflector", "self", "--reflector-arg", "max_new_tokens=2000"],
            "max_new_tokens = 2000 of the reflector self",
        ),
    ):
        refused(hero("run", "--env", "guess", "--eval-tasks", 3, *arguments), message)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["./no/such/dir", "/x/y", "models/foo/bar", "x.gguf"])
@pytest.mark.parametrize(
    "command", [["run", "--eval-tasks", "3", "--model"], ["eval"], ["play", "--policy"], ["check", "--model"]]
)
def test_a_path_that_leads_nowhere_is_reported_before_torch_is_imported(
    hero: Hero, monkeypatch: pytest.MonkeyPatch, command: list[str], path: str
) -> None:
    def build(group: str, name: str, **options: object) -> object:
        assert group != "hero.models", "the model was loaded"
        return registry_build(group, name, **options)

    registry_build = registry.build
    monkeypatch.setattr("hero.registry.build", build)
    refused(hero(*command, path, "--env", "guess"), f"no model '{path}': it is a path, since")


def test_a_damaged_model_is_named_before_anything_is_written(hero: Hero, model: str, tmp_path: Path) -> None:
    weights = load_file(Path(model) / "model.safetensors")
    damaged = shutil.copytree(model, tmp_path.parent / f"{tmp_path.name}-damaged")
    save_file({f"_orig_mod.{name}": tensor for name, tensor in weights.items()}, damaged / "model.safetensors")
    refused(hero("run", "--env", "guess", "--eval-tasks", 3, "--model", damaged), "unexpected _orig_mod.")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named_with_the_remedy(hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("hero_cli.build.find_spec", lambda name: None if name == "torch" else find(name))
    refused(hero("run", "--env", "guess"), "torch not installed; run: pip install 'hero-agents[train]'")


def test_a_provenance_that_cannot_be_stored_is_named_before_anything_is_written(
    hero: Hero, model: str, tmp_path: Path
) -> None:
    result = hero("run", "--env", "secretive", "--eval-tasks", 3, "--model", model)
    refused(
        result,
        "SecretiveEnv: provenance must return a dict of plain JSON, its `arguments` a dict, too, not {'data': {1, 2}}",
    )
    assert list(tmp_path.iterdir()) == []
