"""A run as the model of another run, and which model a name stands for."""

from __future__ import annotations

import shutil
from pathlib import Path

from hero.runs.writer import Run
from hero_cli.resolve import settings_of
from tests.cli.conftest import FAST, Hero, refused


def weights(run: Path) -> bytes:
    (file,) = run.glob("checkpoints/*/trainer/model.safetensors")
    return file.read_bytes()


def test_a_run_is_a_model(finished: Path, hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = ["--env", "guess", *FAST[2:]]
    assert hero("run", "--model", finished, "--steps", 0, "--out", "next", *arguments).exit_code == 0
    assert weights(tmp_path / "next") == weights(finished)
    assert hero("run", "--model", "next", "--steps", 1, "--out", "last", *arguments).exit_code == 0
    assert hero("run", "--resume", "--out", "last", "--steps", 2).exit_code == 0
    assert hero("run", "--resume", "--out", "next", "--steps", 1).exit_code == 0
    refused(hero("run", "--resume", "--out", "last", "--steps", 3), "model.sha256 was")


def test_a_run_without_a_step_is_not_a_model(hero: Hero, model: str, tmp_path: Path) -> None:
    with Run.create(tmp_path / "empty", settings_of({"env": "guess", "model": model}).record()):
        pass
    refused(hero("run", "--model", "empty", "--out", "run", *FAST), "empty has no complete step yet")


def test_a_run_that_lies_where_its_own_model_lay_is_refused(
    finished: Path, hero: Hero, model: str, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "first")
    for source, out in (("first", "second"), ("second", "third")):
        arguments = ["--env", "guess", *FAST[2:]]
        assert hero("run", "--model", source, "--steps", 0, "--out", out, *arguments).exit_code == 0
    shutil.rmtree(tmp_path / "first")
    (tmp_path / "third").rename(tmp_path / "first")
    for command in (["eval", "first"], ["run", "--resume", "--out", "second"], ["run", "--model", "second", *FAST]):
        refused(hero(*command), "comes from itself")


def test_a_run_without_the_name_of_its_model_is_not_a_model(hero: Hero, tmp_path: Path) -> None:
    with Run.create(tmp_path / "other", {}) as run:
        run.save_checkpoint(0, lambda trainer: trainer.mkdir())
    refused(hero("run", "--model", "other", *FAST), "config.json does not say which model was trained")


def test_a_registered_name_goes_before_a_run_of_that_name(finished: Path, hero: Hero, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    assert "in webshop, validation" in hero("eval", "tiny", "--tasks", 1, "--env-arg", "level=easy").stdout
    assert "./tiny in guess, validation" in hero("eval", "./tiny", "--tasks", 1).stdout
