"""`hero run`, end to end on a random model of two layers."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from hero import registry
from hero.models.fingerprint import model_fingerprint
from hero.models.language_model import LanguageModel
from hero.runs.reader import read_config, read_rows
from hero.runs.writer import Run
from hero_cli.resolve import settings_of
from tests.cli.conftest import FAST, Hero, contents
from tests.doubles import GivenUpEnv, GuessEnv
from tests.platforms import NEEDS_POSIX
from tests.tiny_models import random_model, save_pretrained


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def finished(hero: Hero, model: str, shared: Path) -> Path:
    """A finished run of four steps, made once."""
    path = shared / "run"
    if not path.exists():
        result = hero("run", "--model", model, "--steps", 4, "--out", path, *FAST)
        assert result.exit_code == 0, result.output
        (shared / "output.txt").write_text(result.stdout)
    return path


def test_it_tells_every_step_and_what_came_of_it(finished: Path, shared: Path) -> None:
    lines = (shared / "output.txt").read_text().splitlines()
    assert [line.split()[1] for line in lines if re.match(r"step \d+/4 ", line)] == ["1/4", "2/4", "3/4", "4/4"]
    assert sum(bool(re.match(r"step [024]  turns used \d+  (sampled|greedy)  success", line)) for line in lines) == 6
    summary = json.loads((finished / "summary.json").read_text())
    gain = summary["greedy"]["gain"]["success"]
    (row,) = [line for line in lines if line.startswith("success, greedy")]
    assert f"{100 * gain['value']:+.1f} % [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]" in row
    assert [line.split()[0] for line in lines if re.search(r"\d %  +\d", line) and "success" not in line] == [
        "rollout",
        "reflection",
        "update",
    ]
    assert f"next           hero eval {finished} --split test" in lines


def test_the_outcome_has_the_baseline_of_doing_nothing_where_it_is_known(
    hero: Hero, model: str, finished: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads((finished / "summary.json").read_text())["noop_reward"] is None
    assert "no-op baseline" not in (shared / "output.txt").read_text()
    monkeypatch.setattr(GuessEnv, "noop_reward", lambda env, task: 0.5)
    result = hero("run", "--model", model, "--steps", 1, "--out", tmp_path / "run", *FAST)
    assert re.search(r"^score, no-op baseline +50\.0 *$", result.stdout, re.MULTILINE)


def test_it_draws_a_curve(finished: Path) -> None:
    assert (finished / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_equal_seeds_give_equal_run_directories(finished: Path, hero: Hero, model: str, tmp_path: Path) -> None:
    assert hero("run", "--model", model, "--steps", 4, "--out", tmp_path / "run", *FAST).exit_code == 0
    assert contents(tmp_path / "run") == contents(finished)


def test_another_seed_gives_another_run(finished: Path, hero: Hero, model: str, tmp_path: Path) -> None:
    assert hero("run", "--model", model, "--steps", 4, "--seed", 1, "--out", "run", *FAST).exit_code == 0
    assert contents(tmp_path / "run")["episodes.jsonl"] != contents(finished)["episodes.jsonl"]


def test_wall_clock_times_are_in_one_file_alone(finished: Path) -> None:
    assert all(
        row.keys() <= {"step", "rollout", "reflection", "update", "evaluation"}
        for row in read_rows(finished, "timings")
    )
    others = b"".join(text for name, text in contents(finished).items() if name.endswith((".json", ".jsonl")))
    assert b"seconds" not in others


@NEEDS_POSIX
def test_ctrl_c_ends_the_step_and_the_run_goes_on_as_if_it_had_not_been(
    finished: Path, started: Callable[..., subprocess.Popen[str]], hero: Hero, model: str, tmp_path: Path
) -> None:
    process = started("run", "--model", model, "--steps", 4, "--out", "run", *FAST)
    assert process.stdout
    assert any(line.startswith("step 1/4") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped; go on with: hero run --resume --out run\n")
    assert not (tmp_path / "run" / "summary.json").exists()
    result = hero("run", "--resume", "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert contents(tmp_path / "run") == contents(finished)


@pytest.mark.parametrize(("presses", "steps"), [(1, 1), (2, 0)])
def test_a_second_ctrl_c_ends_it_at_once(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presses: int, steps: int
) -> None:
    step = GuessEnv.step

    def pressing(env: GuessEnv, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        if env.split == "train" and not pressed:
            pressed.append(True)
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
        return step(env, action)

    pressed: list[bool] = []
    monkeypatch.setattr(GuessEnv, "step", pressing)
    before = signal.getsignal(signal.SIGINT)
    result = hero("run", "--model", model, "--out", "run", *FAST)
    assert (result.exit_code, result.stderr) == (130, "stopped; go on with: hero run --resume --out run\n")
    assert "stopping after this step; Ctrl-C again stops at once" in result.stdout
    assert len(read_rows(tmp_path / "run", "steps")) == steps
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_can_be_resumed(finished: Path, hero: Hero) -> None:
    before = contents(finished)
    result = hero("run", "--resume", "--out", finished, "--steps", 4)
    assert result.exit_code == 0
    assert contents(finished) == before


def refused(result, *said: str) -> None:  # type: ignore[no-untyped-def]
    """An error for people: exit code 2, no traceback, and what it says."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for text in said:
        assert text in " ".join(result.stderr.split())


def test_changed_settings_are_refused_on_resume(finished: Path, hero: Hero) -> None:
    before = contents(finished)
    refused(hero("run", "--resume", "--out", finished, "--teacher-weights", "live"), 'teacher_weights = "ema", not')
    refused(hero("run", "--resume", "--out", finished, "--steps", 3), "--steps 3, but the run was started with --steps")
    refused(hero("run", "--resume", "--out", finished, "--turn-budget", 9), "was started without that limit")
    assert contents(finished) == before


def test_a_finished_run_that_becomes_longer_equals_one_that_was_longer_from_the_start(
    finished: Path, hero: Hero, model: str, tmp_path: Path
) -> None:
    assert hero("run", "--model", model, "--steps", 2, "--out", "run", *FAST).exit_code == 0
    result = hero("run", "--resume", "--out", tmp_path / "run", "--steps", 4)
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "run") == contents(finished)


def test_more_of_one_limit_where_the_other_is_reached_is_refused(hero: Hero, model: str, tmp_path: Path) -> None:
    assert hero("run", "--model", model, "--steps", 9, "--turn-budget", 5, "--out", "run", *FAST).exit_code == 0
    before = contents(tmp_path / "run")
    refused(hero("run", "--resume", "--out", "run", "--steps", 10), "--steps 10 adds nothing: after 1 steps and")
    assert contents(tmp_path / "run") == before
    result = hero("run", "--resume", "--out", "run", "--steps", 10, "--turn-budget", 20)
    assert result.exit_code == 0, result.output
    assert len(read_rows(tmp_path / "run", "steps")) == 2


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


def test_a_run_without_a_step_is_no_model(hero: Hero, model: str, tmp_path: Path) -> None:
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


def test_a_run_that_names_no_model_is_no_model(hero: Hero, tmp_path: Path) -> None:
    with Run.create(tmp_path / "other", {}) as run:
        run.save_checkpoint(0, lambda trainer: trainer.mkdir())
    refused(hero("run", "--model", "other", *FAST), "config.json does not say which model was trained")


def test_a_registered_name_goes_before_a_run_of_that_name(finished: Path, hero: Hero, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    assert "in webshop, validation" in hero("eval", "tiny", "--tasks", 1, "--env-arg", "level=easy").stdout
    assert "./tiny in guess, validation" in hero("eval", "./tiny", "--tasks", 1).stdout


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


def test_a_run_goes_on_with_the_data_that_it_found_or_not_at_all(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("5", "utf-8")
    (tmp_path / "other").write_text("4", "utf-8")
    monkeypatch.setenv("GUESS_DATA", "data")
    arguments = ["--env", "found", *FAST[2:]]
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


def test_a_run_whose_model_is_gone_says_so(hero: Hero, model: str, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    assert hero("run", "--model", "model", "--steps", 0, "--out", "run", *FAST).exit_code == 0
    shutil.rmtree(tmp_path / "model")
    for command in (["run", "--resume", "--out", "run", "--steps", 1], ["eval", "run"]):
        refused(
            hero(*command), "cannot go on as it was started", f"no model '{tmp_path / 'model'}'", "bring back the model"
        )


def test_a_terminal_that_cannot_redraw_gets_a_line_per_step(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("TERM", "dumb")
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert re.search(r"^step 1/1 ", result.stdout, re.MULTILINE)


def test_a_run_knows_what_it_ran_on(finished: Path, model: str) -> None:
    found = read_config(finished).provenance
    assert date.fromisoformat(found["date"])
    assert found["env"] == {"env_id": "guess"}
    assert found["model"] == {"path": model} | {"sha256": model_fingerprint(model)["sha256"]}
    assert found["versions"].keys() == {"python", "hero", "torch", "transformers", "guess", "device"}


def test_other_versions_are_a_warning(finished: Path, hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "warning" not in (result := hero("run", "--resume", "--out", finished)).output
    monkeypatch.setattr("hero_cli.provenance.__version__", "9.9")
    for result in (hero("run", "--resume", "--out", finished), hero("eval", finished, "--tasks", 3)):
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
    refused(hero("run", "--resume", "--out", "run", "--chat-arg", "enable_thinking=true"), "chat_args")
    refused(hero("run", "--model", "tiny", "--out", "other", *FAST, *chat), "--chat-arg does nothing with --model tiny")


def test_a_service_that_is_given_up_stops_the_run_which_goes_on_later(hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = ["--env", "given-up", *FAST[2:]]
    GivenUpEnv.started = 0
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *arguments)
    assert (result.exit_code, GivenUpEnv.started) == (2, 3)
    assert "warning: the user does not answer; waiting" in result.stdout
    assert result.stderr.splitlines() == [
        "error: the user was given up",
        "stopped; go on with: hero run --resume --out run",
    ]
    assert hero("run", "--resume", "--out", "run").exit_code == 0


def test_a_run_that_is_there_is_not_overwritten(finished: Path, hero: Hero, model: str) -> None:
    before = contents(finished)
    refused(hero("run", "--model", model, "--out", finished, *FAST), "already holds a run; choose another --out")
    assert contents(finished) == before


def test_without_out_each_run_has_a_directory_of_its_own(hero: Hero, model: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert hero("run", "--model", model, "--steps", 0, *FAST).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "guess-distill-seed0",
        "guess-distill-seed0-2",
    ]


def test_grpo_runs_without_reflector_and_teacher(hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = [item for item in FAST if item not in ("--reflector", "rules")]
    result = hero(
        "run", "--model", model, "--learner", "grpo", "--group-size", 2, "--steps", 1, "--out", "run", *arguments
    )
    assert result.exit_code == 0, result.output
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["reflector"], settings["teacher"], settings["divergence"]) == (None, None, None)


def test_self_reflection_runs(hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = ["--reflector", "self", "--reflector-arg", "max_new_tokens=8"]
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST, *arguments)
    assert result.exit_code == 0, result.output
    # A random model says nothing that can be read, and that is told.
    assert "warning: step 1: the reflector found nothing to say about any of 4 episodes" in result.stdout
    assert read_rows(tmp_path / "run", "steps")[0]["reflection"]["tokens"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "gues"], "hero.envs has no 'gues'; did you mean 'guess'?"),
        (["--learner", "distil"], "hero.learners has no 'distil'; did you mean 'distill'?"),
        (["--reflector", "rule"], "hero.reflectors has no 'rule'; did you mean 'rules'?"),
        (["--env-arg", "colour"], "--env-arg 'colour' is not key=value"),
        (
            ["--env-arg", "colours=3"],
            "guess (hero.envs) has no option 'colours'; it takes: split='train'",
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
        (["--episodes", "5", "--group-size", "2"], "--episodes 5 cannot be split into groups of 2"),
        (["--temperature", "0"], "--temperature 0.0 leaves nothing to learn from"),
        (["--temperature", "nan"], "--temperature nan leaves nothing to learn from"),
        (["--learning-rate", "-1"], "--learning-rate -1.0 is not possible"),
        (["--learning-rate", "inf"], "--learning-rate inf is not possible"),
        (["--eval-tasks", "13"], "--eval-tasks 13, but there are 12 validation tasks; give fewer"),
        (["--model", "hf"], "--model hf needs a model: give its directory"),
        pytest.param(["--out", "/dev/null/run"], "cannot write /dev/null/run", marks=NEEDS_POSIX),
        (["--resume"], "--resume needs --out, the directory of the run"),
        (["--resume", "--out", "."], "is not a run directory: it has no config.json"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded_or_written(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    if "hf" not in arguments:
        monkeypatch.setattr("hero_cli.training.load_model", lambda *choice: pytest.fail("the model was loaded"))
    refused(hero("run", "--env", "guess", "--eval-tasks", 3, *arguments), said)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_about_the_model_are_told_before_anything_is_written(hero: Hero, model: str, tmp_path: Path) -> None:
    for arguments, said in (
        (["--model", "tinny"], "there is no model 'tinny'; did you mean 'tiny'?"),
        (["--model", "~nobody-of-that-name/x"], "no model '~nobody-of-that-name/x'"),
        (["--model", "x" * 300], "no model 'xxx"),
        (["--model", model, "--action-tokens", 1024], "--action-tokens 1024 leaves no room for a prompt"),
        (
            ["--model", model, "--reflector", "self", "--reflector-arg", "max_new_tokens=2000"],
            "max_new_tokens = 2000 of the reflector self",
        ),
    ):
        refused(hero("run", "--env", "guess", "--eval-tasks", 3, *arguments), said)
        assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_is_named_before_anything_is_written(hero: Hero, model: str, tmp_path: Path) -> None:
    weights = load_file(Path(model) / "model.safetensors")
    damaged = shutil.copytree(model, tmp_path.parent / f"{tmp_path.name}-damaged")
    save_file({f"_orig_mod.{name}": tensor for name, tensor in weights.items()}, damaged / "model.safetensors")
    refused(hero("run", "--env", "guess", "--eval-tasks", 3, "--model", damaged), "unexpected _orig_mod.")
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_every_choice_given_goes_on(hero: Hero, model: str, tmp_path: Path) -> None:
    choices = ["--teacher-weights", "frozen", "--divergence", "jensen_shannon"]
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST, *choices).exit_code == 0
    result = hero("run", "--resume", "--out", "run", *choices)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "cannot write run/curve.png: No space left on device"),
        (ImportError("no matplotlib"), "cannot write run/curve.png: ImportError: no matplotlib"),
        (KeyError("font"), "cannot write run/curve.png: KeyError: 'font'"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_no_failure(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*arguments: object) -> None:
        assert (tmp_path / "run" / "summary.json").exists()
        raise error

    monkeypatch.setattr("hero_cli.curve.draw_curve", fail)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert result.exit_code == 0
    assert f"warning: no learning curve: {said}" in result.stdout


@pytest.mark.parametrize("method", ["note", "on_step_end", "on_evaluate", "__enter__", "__exit__"])
def test_a_display_that_raises_is_one_warning(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no colours")

    monkeypatch.setattr(f"hero_cli.progress.LogLines.{method}", fail)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert result.exit_code == 0, result.output
    assert result.output.count("no colours") == 1
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_report_that_fails_is_a_warning(hero: Hero, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    file = tmp_path / "run" / "timings.jsonl"
    file.write_bytes(file.read_bytes().replace(b"rollout", b"\\ollout"))
    result = hero("run", "--resume", "--out", "run")
    assert result.exit_code == 0, result.output
    assert "warning: no report: RunError" in result.output


def test_ctrl_c_while_a_run_is_built_is_heard_though_a_library_swallows_it(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(*choice: object) -> LanguageModel:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return random_model(context=1024)

    monkeypatch.setattr("hero_cli.training.load_model", deaf)
    result = hero("run", "--steps", 1, "--out", "run", *FAST)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named_with_the_remedy(hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("hero_cli.build.find_spec", lambda name: None if name == "torch" else find(name))
    refused(hero("run", "--env", "guess"), "torch not installed; run: pip install 'hero-agents[train]'")


def test_the_help_shows_the_defaults(hero: Hero) -> None:
    text = " ".join(hero("run", "--help").stdout.split())
    assert "[default: 1, or what the learner brings]" in text
    assert "[default: reverse_kl]" in text
