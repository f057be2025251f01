"""`hero run`, end to end on a random model of two layers."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
from datetime import date
from pathlib import Path

import pytest

from hero.models.fingerprint import model_fingerprint
from hero.models.language_model import LanguageModel
from hero.runs.reader import read_config, read_rows
from tests.cli.conftest import FAST, Hero, contents, refused, without_loading
from tests.doubles import GuessEnv
from tests.tiny_models import random_model


def test_every_step_and_the_outcome_are_printed(finished: Path, shared: Path) -> None:
    lines = (shared / "output.txt").read_text().splitlines()
    assert [line.split()[1] for line in lines if re.match(r"step \d+/4 ", line)] == ["1/4", "2/4", "3/4", "4/4"]
    assert len([line for line in lines if re.fullmatch(r"training takes up to \d+\.\d of \d+\.\d GiB", line)]) == 1
    evaluations = [re.match(r"step (\d)  turns used \d+  (sampled|greedy)  tasks 3  success", line) for line in lines]
    assert [each.groups() for each in evaluations if each] == [
        ("0", "sampled"), ("0", "greedy"), ("2", "sampled"), ("4", "sampled"), ("4", "greedy"),
    ]  # fmt: skip
    summary = json.loads((finished / "summary.json").read_text())
    gain = summary["greedy"]["gain"]["success"]
    (row,) = [line for line in lines if line.startswith("success, greedy")]
    assert f"{100 * gain['value']:+.1f} % [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]" in row
    assert [line.split()[0] for line in lines if re.search(r"\d %  +\d", line) and "success" not in line] == [
        "rollout",
        "reflection",
        "update",
    ]
    found = [f"{100 * row['reflection']['turns_with_finding']:.0f}" for row in read_rows(finished, "steps")]
    (row,) = [line for line in lines if line.startswith("turns with a finding, %")]
    assert row.split()[-2:] == [found[0], found[-1]]
    best = summary["best"]
    success = f"{100 * best['success']['value']:.1f} % [{100 * best['success']['low']:.1f}, "
    assert any(line.startswith(f"best           after step {best['step']}: success {success}") for line in lines)
    assert f"next           hero eval {finished} --split test" in lines
    assert f"look inside    hero view {finished}" in lines


def test_the_outcome_has_the_no_op_baseline_where_the_environment_has_one(
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
    phases = {"step", "start_up", "rollout", "reflection", "update", "evaluation"}
    assert set().union(*read_rows(finished, "timings")) == phases
    others = b"".join(text for name, text in contents(finished).items() if name.endswith((".json", ".jsonl")))
    assert b"seconds" not in others


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
    assert (result.exit_code, without_loading(result.stderr)) == (
        130,
        "stopped; go on with: hero run --resume --out run\n",
    )
    assert "stopping after this step; Ctrl-C again stops at once" in result.stdout
    assert len(read_rows(tmp_path / "run", "steps")) == steps
    assert signal.getsignal(signal.SIGINT) is before


def test_a_terminal_that_cannot_redraw_gets_a_line_per_step(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal
    monkeypatch.setenv("TERM", "dumb")
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert re.search(r"^step 1/1 ", result.stdout, re.MULTILINE)


def test_a_run_records_what_it_ran_on(finished: Path, model: str) -> None:
    provenance = read_config(finished).provenance
    assert date.fromisoformat(provenance["date"])
    assert provenance["env"] == {"env_id": "guess"}
    assert provenance["model"] == {"path": model} | {"sha256": model_fingerprint(model)["sha256"]}
    assert provenance["versions"].keys() == {"python", "hero", "torch", "transformers", "guess", "device"}


def test_without_out_each_run_has_a_directory_of_its_own(hero: Hero, model: str, tmp_path: Path) -> None:
    for _ in range(2):
        assert hero("run", "--model", model, "--steps", 0, *FAST).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "guess-distill-seed0",
        "guess-distill-seed0-2",
    ]


def test_grpo_runs_without_reflector_and_teacher(hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = [item for item in FAST if item not in ("--reflector", "rules", "--turn-gate", "none")]
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
    # A random model writes nothing that can be parsed, which is reported.
    assert "warning: step 1: the reflector found nothing to say about any of 4 episodes" in result.stdout
    assert read_rows(tmp_path / "run", "steps")[0]["reflection"]["tokens"] > 0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "cannot write run/curve.png: No space left on device"),
        (ImportError("no matplotlib"), "cannot write run/curve.png: ImportError: no matplotlib"),
        (KeyError("font"), "cannot write run/curve.png: KeyError: 'font'"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_a_warning(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*arguments: object) -> None:
        assert (tmp_path / "run" / "summary.json").exists()
        raise error

    monkeypatch.setattr("hero_cli.curve.draw_curve", fail)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert result.exit_code == 0
    assert f"warning: no learning curve: {message}" in result.stdout


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


def test_ctrl_c_while_a_run_is_built_counts_though_a_library_swallows_it(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(*choice: object) -> LanguageModel:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return random_model(context=1024)

    monkeypatch.setattr("hero_cli.parts.load_trainable", deaf)
    result = hero("run", "--steps", 1, "--out", "run", *FAST)
    assert (result.exit_code, without_loading(result.stderr)) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_help_shows_the_defaults(hero: Hero) -> None:
    text = " ".join(hero("run", "--help").stdout.split())
    assert "[default: 1, or what the learner brings]" in text
    assert "[default: reverse_kl]" in text


def test_the_evaluation_of_an_equal_start_is_taken_over(finished: Path, hero: Hero, model: str, tmp_path: Path) -> None:
    arguments = ["run", "--model", model, "--steps", 1, "--divergence", "forward_kl", *FAST]
    assert hero(*arguments, "--out", "made").exit_code == 0
    result = hero(*arguments, "--same-start-as", finished, "--out", "taken")
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "taken") == contents(tmp_path / "made")
    timings = read_rows(tmp_path / "taken", "timings")[0]
    assert "evaluation" not in timings
    assert timings["same_start_as"] == str(finished)
    assert "step 0  turns used 0  greedy" in result.stdout


def test_the_evaluation_of_another_start_is_refused_by_what_differs(
    finished: Path, hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["run", "--model", model, "--steps", 1, *FAST, "--out", "run", "--same-start-as", finished]
    refused(hero(*arguments, "--seed", 1), f"--same-start-as {finished}: that run has --seed 0, not 1; leave it out")
    refused(hero(*arguments, "--temperature", 0.7), "that run has --temperature 0.5, not 0.7")
    refused(hero(*arguments[:-1], "nowhere"), "nowhere is not a run directory")
    refused(hero("run", "--resume", "--out", finished, "--same-start-as", finished), "does nothing with --resume")
    unfinished = shutil.copytree(finished, tmp_path / "unfinished")
    evals = unfinished / "evals.jsonl"
    evals.write_bytes(evals.read_bytes().replace(b'"value":0.', b'"value":1.', 1))
    refused(hero(*arguments[:-1], unfinished), "evals.jsonl is damaged")
    shutil.rmtree(unfinished / "checkpoints")
    refused(hero(*arguments[:-1], unfinished), "unfinished has no evaluation before training yet; wait until it has")
    assert not (tmp_path / "run").exists()


def test_an_evaluation_under_other_circumstances_is_made_again_with_a_warning(
    finished: Path, hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hero_cli.provenance.today", lambda: "2020-02-20")
    result = hero("run", "--model", model, "--steps", 1, *FAST, "--out", "run", "--same-start-as", finished)
    assert result.exit_code == 0, result.output
    assert "started otherwise, so that its evaluation is made here again: date was '20" in result.stdout
    assert "evaluation" in read_rows(tmp_path / "run", "timings")[0]
