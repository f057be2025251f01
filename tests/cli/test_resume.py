"""`hero run --resume`: a run goes on as if it had never stopped, with what it was started on, or not at all."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from hero import registry
from hero.envs.base import StepResult
from hero.errors import ConfigError, RunError
from hero.models.language_model import LanguageModel
from hero.models.sampler import TransformersPolicy
from hero.runs.reader import read_config, read_rows
from hero_cli.parts import Origin
from tests.cli.conftest import FAST, ROOT, Hero, contents, refused, without_loading
from tests.doubles import GivenUpEnv, GuessEnv
from tests.loop import trained
from tests.platforms import NEEDS_POSIX
from tests.tiny_models import save_pretrained


@NEEDS_POSIX
def test_ctrl_c_ends_the_step_and_the_run_goes_on_as_if_it_had_not_been(
    finished: Path, started: Callable[..., subprocess.Popen[str]], hero: Hero, model: str, tmp_path: Path
) -> None:
    process = started("run", "--model", model, "--steps", 4, "--out", "run", *FAST)
    assert process.stdout
    assert any(line.startswith("step 1/4") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, without_loading(errors)) == (130, "stopped; go on with: hero run --resume --out run\n")
    assert not (tmp_path / "run" / "summary.json").exists()
    result = hero("run", "--resume", "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert contents(tmp_path / "run") == contents(finished)


@NEEDS_POSIX
def test_a_run_that_was_cut_off_before_its_first_checkpoint_goes_on(
    finished: Path, hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restart() -> list[str]:
        """Returns what docs/many-machines.md adds to the options of a job that is started again."""
        (line,) = re.findall(r"`\$\((\[.* echo --resume)\)`", (ROOT / "docs" / "many-machines.md").read_text("utf-8"))
        done = subprocess.run(["sh", "-c", line.replace("/shared", str(tmp_path))], capture_output=True, text=True)
        return done.stdout.split()

    command = ["run", "--model", model, "--steps", 4, "--out", tmp_path / "run", *FAST]
    assert restart() == []
    with monkeypatch.context() as cut_off:
        cut_off.setattr(TransformersPolicy, "act", Mock(side_effect=KeyboardInterrupt))
        assert hero(*command).exit_code == 130
    assert not (tmp_path / "run" / "checkpoints").exists()
    result = hero(*command, *restart())
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "run") == contents(finished)


def test_a_finished_run_can_be_resumed(finished: Path, hero: Hero) -> None:
    before = contents(finished)
    result = hero("run", "--resume", "--out", finished, "--steps", 4)
    assert result.exit_code == 0
    assert contents(finished) == before


def test_changed_settings_are_refused_on_resume(finished: Path, hero: Hero) -> None:
    before = contents(finished)
    refused(hero("run", "--resume", "--out", finished, "--teacher-weights", "live"), '--teacher-weights "ema", not')
    refused(hero("run", "--resume", "--out", finished, "--steps", 3), "--steps 3, but the run was started with --steps")
    refused(hero("run", "--resume", "--out", finished, "--turn-budget", 9), "was started without that limit")
    assert contents(finished) == before


def test_a_finished_run_that_becomes_longer_trains_as_one_that_was_longer_from_the_start(
    finished: Path, hero: Hero, model: str, tmp_path: Path
) -> None:
    assert hero("run", "--model", model, "--steps", 2, "--out", "run", *FAST).exit_code == 0
    result = hero("run", "--resume", "--out", tmp_path / "run", "--steps", 4)
    assert result.exit_code == 0, result.output
    assert trained(tmp_path / "run") == trained(finished)


def test_more_of_one_limit_where_the_other_is_reached_is_refused(hero: Hero, model: str, tmp_path: Path) -> None:
    assert hero("run", "--model", model, "--steps", 9, "--turn-budget", 5, "--out", "run", *FAST).exit_code == 0
    before = contents(tmp_path / "run")
    refused(hero("run", "--resume", "--out", "run", "--steps", 10), "--steps 10 adds nothing: after 1 steps and")
    assert contents(tmp_path / "run") == before
    result = hero("run", "--resume", "--out", "run", "--steps", 10, "--turn-budget", 20)
    assert result.exit_code == 0, result.output
    assert len(read_rows(tmp_path / "run", "steps")) == 2


def test_a_run_that_stopped_by_itself_is_finished_and_names_its_best_checkpoint(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = list[str]()

    def right_before_training(env: GuessEnv, action: str) -> StepResult:
        trained.extend([env.split] if env.split == "train" else [])
        right = not trained
        return StepResult("That's it.", float(right), terminated=True, success=right)

    monkeypatch.setattr(GuessEnv, "apply", right_before_training)
    result = hero("run", "--model", model, "--steps", 9, "--out", "run", "--stop-when-worse", 2, *FAST)
    assert result.exit_code == 0, result.output
    before = contents(tmp_path / "run")
    again = hero("run", "--resume", "--out", "run", "--steps", 9)
    assert (again.exit_code, contents(tmp_path / "run")) == (0, before)
    for output in (result.stdout, again.stdout):
        assert "stopped early: 2 evaluations in a row were far below the best; success, sampled, is 100.0" in output
        assert "validation after 4 steps" in output
        assert "best           after step 0: success 100.0 %" in output
    assert result.stdout.count("warning: step 2: success, sampled, is 100.0 points") == 1
    refused(
        hero("run", "--resume", "--out", "run", "--steps", 10),
        "--steps 10 adds nothing: after 4 steps the run stopped by itself (2 evaluations in a row",
        "start another run from its best checkpoint with --model run",
    )
    refused(hero("run", "--resume", "--out", "run", "--stop-when-worse", 3), "was started with --stop-when-worse 2")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_run_whose_model_changed_is_refused(hero: Hero, model: str, tmp_path: Path, name: str) -> None:
    shutil.copytree(model, tmp_path / "model")
    assert hero("run", "--model", "model", "--steps", 1, "--out", "run", *FAST).exit_code == 0
    file = tmp_path / "model" / name
    file.write_bytes(file.read_bytes() + b" ")
    before = contents(tmp_path / "run")
    for command in (
        ["run", "--resume", "--out", "run", "--steps", 2],
        ["eval", "run"],
        ["run", "--model", "run", *FAST],
    ):
        refused(hero(*command), "model.sha256 was", "bring back the model's files; or start another run")
    assert contents(tmp_path / "run") == before


def test_a_run_whose_reviewer_changed_is_refused(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, tmp_path / "judge")
    options = ["--reflector", "local:judge", "--reflector-arg", "max_new_tokens=4"]
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST, *options).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = hero("run", "--resume", "--out", tmp_path / "run", "--steps", 2)
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path)
    result = hero("run", "--resume", "--model", model, "--steps", 2, "--out", "run", *FAST, *options)
    assert result.exit_code == 0, result.output
    refused(
        hero("run", "--resume", "--out", "run", "--reflector", "local:tiny"),
        f'run was started with --reflector-arg {{"model": "{tmp_path / "judge"}", "max_new_tokens": 4}}, not',
    )
    file = tmp_path / "judge" / "config.json"
    file.write_bytes(file.read_bytes() + b" ")
    before = contents(tmp_path / "run")
    refused(
        hero("run", "--resume", "--out", "run", "--steps", 3),
        "reflector.sha256 was",
        "bring back the files of the model that reviews; or start another run",
    )
    shutil.rmtree(tmp_path / "judge")
    refused(
        hero("run", "--resume", "--out", "run", "--steps", 3),
        "cannot go on as it was started: no model",
        "bring back the files of the model that reviews",
    )
    assert contents(tmp_path / "run") == before


def test_a_run_goes_on_with_the_revision_that_it_began_with(
    started: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hero(*arguments: object) -> tuple[int, str]:
        process = started(*arguments)
        _, errors = process.communicate(timeout=100)
        return process.returncode, errors

    folder = tmp_path / "home" / "hub" / "models--someone--small"
    for revision in ("a" * 40, "b" * 40):
        (folder / "snapshots" / revision).mkdir(parents=True)
        save_pretrained(folder / "snapshots" / revision)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40, "utf-8")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert hero("run", "--model", "someone/small", "--steps", 0, "--out", "run", *FAST)[0] == 0
    assert read_config(tmp_path / "run").provenance["model"]["revision"] == "a" * 40
    (folder / "refs" / "main").write_text("b" * 40, "utf-8")
    assert hero("run", "--resume", "--out", "run", "--steps", 1)[0] == 0
    shutil.rmtree(folder / "snapshots" / ("a" * 40))
    code, errors = hero("eval", "run")
    assert code == 2
    assert "model.revision was 'aaa" in errors


def test_a_run_goes_on_from_another_directory(hero: Hero, model: str, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(model, tmp_path / "model")
    assert hero("run", "--model", "model", "--steps", 1, "--out", "run", *FAST).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = hero("run", "--resume", "--out", tmp_path / "run", "--steps", 2)
    assert result.exit_code == 0, result.output


def test_a_run_goes_on_with_the_data_that_it_started_on_or_not_at_all(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("5", "utf-8")
    (tmp_path / "other").write_text("4", "utf-8")
    monkeypatch.setenv("GUESS_DATA", "data")
    arguments = ["--env", "located", *FAST[2:]]
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *arguments).exit_code == 0
    monkeypatch.setenv("GUESS_DATA", "other")
    result = hero("run", "--resume", "--out", "run", "--steps", 2)
    assert result.exit_code == 0, result.output
    assert hero("run", "--model", model, "--steps", 2, "--out", "run2", *arguments).exit_code == 0
    (tmp_path / "data").write_text("5 ", "utf-8")
    refused(hero("run", "--resume", "--out", "run", "--steps", 3), "env.data was", "bring back the data")
    (tmp_path / "data").unlink()
    for command in (["run", "--resume", "--out", "run", "--steps", 3], ["eval", "run"]):
        refused(hero(*command), "no data", "bring back the data")


def test_a_run_whose_model_is_gone_reports_it(hero: Hero, model: str, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    assert hero("run", "--model", "model", "--steps", 0, "--out", "run", *FAST).exit_code == 0
    shutil.rmtree(tmp_path / "model")
    for command in (["run", "--resume", "--out", "run", "--steps", 1], ["eval", "run"]):
        refused(
            hero(*command), "cannot go on as it was started", f"no model '{tmp_path / 'model'}'", "bring back the model"
        )


def test_data_and_models_without_provenance_are_missed_as_well(tmp_path: Path) -> None:
    new = Origin("plug", "2026-11-28", tmp_path)
    with pytest.raises(ConfigError, match=r"\Agone\Z"), new.explain_missing("model", ConfigError):
        raise ConfigError("gone")
    resumed = replace(new, stored={"model": {}})  # as of a model that another package registers
    explained = pytest.raises(RunError, match=r"as it was started: gone\. To go on, bring back the model's files")
    with explained, resumed.explain_missing("model", ConfigError):
        raise ConfigError("gone")


def test_other_versions_are_a_warning(finished: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "warning" not in (result := hero("run", "--resume", "--out", finished)).output
    monkeypatch.setattr("hero_cli.provenance.__version__", "9.9")
    for command in (["run", "--resume", "--out"], ["eval"], ["play", "--policy"]):
        result = hero(*command, finished)
        assert result.exit_code == 0, result.output
        assert "warning: versions have changed since the run started, and results may differ: hero was" in result.output


def test_the_date_of_the_start_is_what_templates_see(
    finished: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[str | None]()

    def load(source: str, *, template_args: object = None, date: str | None = None) -> LanguageModel:
        seen.append(date)
        return registry_load(source)

    registry_load = registry.load("hero.models", "hf")
    monkeypatch.setattr("hero.models.load.load", load)
    monkeypatch.setattr("hero_cli.provenance.today", lambda: "2031-01-01")
    monkeypatch.setattr("hero_cli.model.today", lambda: "2031-01-01")
    assert hero("run", "--resume", "--out", finished).exit_code == 0
    assert hero("eval", finished, "--tasks", 3).exit_code == 0
    assert seen == [read_config(finished).provenance["date"]] * 2 != ["2031-01-01"] * 2


def test_chat_arguments_reach_the_template_and_stay(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[object]()

    def load(source: str, *, template_args: object = None, date: str | None = None) -> LanguageModel:
        seen.append(template_args)
        return registry_load(source)

    registry_load = registry.load("hero.models", "hf")
    monkeypatch.setattr("hero.models.load.load", load)
    chat = ["--chat-arg", "enable_thinking=false"]
    assert hero("run", "--model", model, "--steps", 0, "--out", "run", *FAST, *chat).exit_code == 0
    assert hero("run", "--resume", "--out", "run").exit_code == 0
    assert hero("eval", "run", "--tasks", 3).exit_code == 0
    assert hero("eval", "run", "--tasks", 3, "--chat-arg", "style=3").exit_code == 0
    thinking = {"enable_thinking": False}
    assert seen == [thinking, thinking, thinking, {**thinking, "style": 3}]
    refused(hero("run", "--resume", "--out", "run", "--chat-arg", "enable_thinking=true"), "--chat-arg")
    refused(hero("run", "--model", "tiny", "--out", "other", *FAST, *chat), "--chat-arg does nothing with --model tiny")


def test_a_service_that_is_given_up_stops_the_run_which_goes_on_later(hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = ["--env", "given-up", *FAST[2:]]
    GivenUpEnv.started = 0
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *arguments)
    assert (result.exit_code, GivenUpEnv.started) == (2, 3)
    assert "warning: the user does not answer; waiting" in result.stdout
    assert without_loading(result.stderr).splitlines() == [
        "error: the user was given up",
        "stopped; go on with: hero run --resume --out run",
    ]
    assert hero("run", "--resume", "--out", "run").exit_code == 0


def test_a_run_with_every_choice_given_goes_on(hero: Hero, model: str, tmp_path: Path) -> None:
    choices = ["--teacher-weights", "frozen", "--divergence", "jensen_shannon"]
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST, *choices).exit_code == 0
    result = hero("run", "--resume", "--out", "run", *choices)
    assert result.exit_code == 0, result.output


def test_a_report_that_fails_is_a_warning(hero: Hero, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run" / "timings.jsonl"
    file.write_bytes(file.read_bytes().replace(b"rollout", b"\\ollout"))
    result = hero("run", "--resume", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "warning: no report: RunError" in result.output
