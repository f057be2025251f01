"""`hero eval`: its tables, its options, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from hero.models.sampler import TransformersPolicy
from hero.plan import Purpose
from hero.runs.reader import read_rows
from hero.runs.writer import Run
from hero.types import Action, Tools
from hero_cli.options import as_options
from hero_cli.resolve import settings_of
from tests.cli.conftest import FAST, Hero, refused
from tests.doubles import GivenUpEnv, GuessEnv

GUESS = ["--env", "guess", "--tasks", 4]


def test_a_model_is_evaluated_with_intervals(hero: Hero, model: str) -> None:
    result = hero("eval", model, *GUESS)
    assert result.exit_code == 0, result.output
    first, success, *_ = result.stdout.splitlines()
    assert first == f"{model} in guess, validation, temperature 0.5: 4 episodes of 4 tasks (95 % intervals)"
    assert re.fullmatch(r"success +\d+\.\d % \[\d+\.\d, \d+\.\d\]", success)
    assert "pass^" not in result.stdout


def test_the_no_op_baseline_stands_below_the_score(hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[str]:
        return hero("eval", model, *GUESS).stdout.splitlines()

    assert not any("no-op" in row for row in rows())
    assert any(re.match(r"invalid actions per episode +\d+\.\d \[", row) for row in rows())
    monkeypatch.setattr(GuessEnv, "noop_reward", lambda env, task: float(task == 1))
    monkeypatch.setattr(GuessEnv, "tools", Tools((), ""))
    with_baseline = rows()
    score = next(index for index, row in enumerate(with_baseline) if row.startswith("score "))
    assert with_baseline[score + 1].split() == ["no-op", "baseline", "25.0"]
    assert any(re.match(r"tool errors per episode +\d+\.\d \[", row) for row in with_baseline)


def test_tool_calls_are_counted_where_there_are_tools(hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step = GuessEnv.step

    def calling(env: GuessEnv, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        observation, reward, terminated, truncated, info = step(env, action)
        return observation, reward, terminated, truncated, info | {"tool_call": True}

    assert "tool calls" not in hero("eval", model, *GUESS).stdout
    monkeypatch.setattr(GuessEnv, "step", calling)
    rows = {row[:27].strip(): row[27:].split()[0] for row in hero("eval", model, *GUESS).stdout.splitlines()[1:]}
    assert rows["tool calls per episode"] == rows["turns per episode"]


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--steps", "0", *FAST],
        ["eval", *GUESS],
        ["play", "--env", "guess", "--task", "2"],
    ],
    ids=["run", "eval", "play"],
)
def test_every_environment_is_closed(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: list[str]
) -> None:
    opened, closed = list[GuessEnv](), list[GuessEnv]()
    build = GuessEnv.__init__

    def opening(env: GuessEnv, *arguments: object, **options: object) -> None:
        build(env, *arguments, **options)  # type: ignore[arg-type]
        opened.append(env)

    def close(env: GuessEnv) -> None:
        closed.append(env)
        raise OSError("it is stuck")

    monkeypatch.setattr(GuessEnv, "__init__", opening)
    monkeypatch.setattr(GuessEnv, "close", close)
    given = {"run": ["run", "--model", model], "eval": ["eval", model], "play": ["play"]}[command[0]]
    assert hero(*given, *command[1:], typed="").exit_code == 0
    assert opened
    assert {*map(id, closed)} == {*map(id, opened)}
    assert "an environment could not be closed: OSError: it is stuck" in caplog.messages


def test_metrics_of_the_environment_have_a_row_each(hero: Hero, model: str) -> None:
    rows = {row[:27].strip(): row[27:].strip() for row in hero("eval", model, *GUESS).stdout.splitlines()[1:]}
    share = float(rows["success"].split()[0]) / 100
    assert re.fullmatch(rf"{share:g} \[[-\d.]+, [-\d.]+\], of 4 episodes", rows["metric colour"])


def test_several_trials_report_pass_hat_k(hero: Hero, model: str) -> None:
    result = hero("eval", model, *GUESS, "--trials", 3, "--greedy")
    assert "temperature 0: 12 episodes of 4 tasks" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()[-3:]] == ["pass^1", "pass^2", "pass^3"]


def test_more_trials_and_tasks_leave_an_episode_as_it_was(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, actions = GuessEnv.step, dict[tuple[int, int | None], list[str]]()

    def listening(env: GuessEnv, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        actions.setdefault((env.task, env.np_random_seed), []).append(action)
        return step(env, action)

    monkeypatch.setattr(GuessEnv, "step", listening)

    def played(*arguments: object) -> dict[tuple[int, int | None], list[str]]:
        actions.clear()
        assert hero("eval", model, "--env", "guess", *arguments).exit_code == 0
        return dict(actions)

    few, many = played("--tasks", 3), played("--tasks", 5, "--trials", 3)
    assert len(many) == 15
    assert few.items() <= many.items()
    assert many != played("--tasks", 5, "--trials", 3, "--seed", 1)


def test_a_run_is_evaluated_with_its_own_settings_and_weights(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, actions = GuessEnv.step, list[str]()

    def listening(env: GuessEnv, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        actions.append(action)
        return step(env, action)

    monkeypatch.setattr(GuessEnv, "step", listening)
    arguments = ["--env-arg", "num_tasks=5", "--eval-tasks", 5, "--learning-rate", 0.3]
    assert hero("run", "--model", model, "--steps", 2, "--out", "run", *FAST, *arguments).exit_code == 0
    sampled, greedy = (
        round(5 * row["turns_per_episode"]["value"]) for row in read_rows(tmp_path / "run", "evals")[-2:]
    )
    after = actions[-sampled - greedy : -greedy]
    seed = settings_of({}).plan().seed_for(2, Purpose.EVALUATION)

    def again(policy: str, *arguments: object, name: str) -> list[str]:
        actions.clear()
        result = hero("eval", policy, "--seed", seed, *arguments)
        assert f"{name} in guess, validation, temperature 0.5: 5 episodes of 5 tasks" in result.stdout
        return list(actions)

    assert again("run", "--checkpoint", "newest", name="run (newest checkpoint, step 2)") == after
    of_the_base = again(model, "--env", "guess", "--tasks", 5, name=model)
    assert of_the_base != after
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["best"]["step"] == 0
    for default in ([], ["--checkpoint", "best"]):
        assert again("run", *default, name="run (best checkpoint, step 0)") == of_the_base
    assert "5 episodes of 5 tasks" in hero("eval", "run", "--env", "guess").stdout
    assert "2 episodes of 2 tasks" in hero("eval", "run", "--env", "webshop", "--tasks", 2, "--max-turns", 1).stdout


def test_a_policy_is_evaluated_with_the_settings_that_are_given(hero: Hero, model: str, finished: Path) -> None:
    def row(label: str, policy: object, *arguments: object) -> str:
        result = hero("eval", policy, *GUESS, *arguments)
        assert result.exit_code == 0, result.output
        return next(line for line in result.stdout.splitlines() if line.startswith(label))

    for policy in (model, finished):
        assert not row("turns per episode", policy).split()[3].startswith("1.0")
        assert row("turns per episode", policy, "--max-turns", 1).split()[3:] == ["1.0", "[1.0,", "1.0]"]
        assert row("valid actions", policy, "--action-tokens", 1).split()[2] == "0.0"
        same = row("success", policy)
        others = ("--device", "cpu", "--dtype", "float32", "--kv-cache-gib", 0.001, "--threads", 1)
        assert row("success", policy, *others) == same


@pytest.mark.parametrize("command", [["eval"], ["play", "--policy"]], ids=["eval", "play"])
def test_the_precision_that_is_given_counts(
    hero: Hero, model: str, finished: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    act, kinds = TransformersPolicy.act, set[torch.dtype]()

    def watched(policy: TransformersPolicy, *arguments: Any) -> list[Action]:
        kinds.add(policy.model.dtype)
        return act(policy, *arguments)

    monkeypatch.setattr(TransformersPolicy, "act", watched)
    for policy in (model, finished):
        kinds.clear()
        assert hero(*command, policy, "--env", "guess", "--dtype", "bfloat16").exit_code == 0
        assert kinds == {torch.bfloat16}


def test_the_record_says_how_the_episodes_were_played(hero: Hero, model: str) -> None:
    given = {"max_turns": 2, "max_tokens": 99, "action_tokens": 3, "dtype": "bfloat16", "temperature": 0.7, "seed": 4}
    record = json.loads(hero("eval", model, *GUESS, "--json", *as_options(given)).stdout)
    assert {name: record[name] for name in given} == given


def test_mistakes_are_reported(hero: Hero, model: str, tmp_path: Path) -> None:
    for arguments, message in (
        ([model, *GUESS, "--greedy", "--temperature", 0.5], "--greedy and --temperature 0.5 contradict each other"),
        ([model, "--env", "guess", "--tasks", 13], "--tasks 13, but validation has 12; give fewer"),
        (
            [model, "--env", "guess", "--env-arg", "split=test"],
            "--env-arg split cannot be given: hero eval and hero play take --split",
        ),
        (["/nowhere/at/all", *GUESS], "no model '/nowhere/at/all'"),
        (["tinny", *GUESS], "there is no model 'tinny'; did you mean 'tiny'?"),
        (["x" * 300, *GUESS], "no model 'xxx"),
        (
            [model, *GUESS, "--checkpoint", "newest"],
            f"--checkpoint newest does nothing with {model}, which is not a run; leave it out",
        ),
        ([model, *GUESS, "--max-turns", 0], "--max-turns 0 is too few; give at least 1"),
        ([model, *GUESS, "--temperature", -1], "--temperature -1.0 is not possible; give at least 0"),
        ([model, *GUESS, "--temperature", "nan"], "--temperature nan is not possible"),
        ([model, *GUESS, "--device", "cuda:99"], "cuda:99"),
        ([model, *GUESS, "--dtype", "int8"], "'int8' is not one of 'float32', 'bfloat16', 'float16'"),
        (["openai:x", *GUESS, "--threads", 2], "--threads does nothing with openai:x, which runs elsewhere"),
        (["openai:x", "--suite", "x.txt"], "--suite needs a model on this machine, whose probabilities it reads"),
        ([model, *GUESS, "--kv-cache-gib", 1e300], "--kv-cache-gib 1e+300 is not possible"),
        (["openai:x", *GUESS, "--dtype", "float16"], "--dtype does nothing with openai:x, which runs elsewhere"),
        (["openai:x", *GUESS, "--chat-arg", "a=1"], "--chat-arg does nothing with openai:x"),
        ([model, *GUESS, "--seed", 10**22], "'--seed'"),
        ([model, *GUESS, "--trials", 10**20], "'--trials'"),
        ([model, *GUESS, "--temperature", 1e-320], "gives logits that are not finite after a prompt of"),
    ):
        result = hero("eval", *arguments)
        assert result.exit_code == 2, result.output
        assert message in " ".join(result.stderr.split())


def test_a_run_without_a_complete_step_is_refused(hero: Hero, model: str, tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", settings_of({"env": "guess", "model": model}).record()):
        pass
    result = hero("eval", "run", "--tasks", 3)
    assert result.exit_code == 2
    assert "run has no complete step yet" in result.stderr


@pytest.mark.parametrize(
    ("files", "messages"),
    [
        ({"config.json": "{}"}, "the model 'broken' cannot be loaded"),
        ({"config.json": '{"schema": 2}'}, "config.json has schema 2 and this version reads 6"),
        ({"config.json": '{"schema": 6}'}, "config.json is damaged (its checksum differs)"),
        ({"config.json": "{", "evals.jsonl": ""}, "config.json is damaged"),
        ({"evals.jsonl": ""}, "broken has records of a run but no config.json"),
        ({"config.json": '{"model_type": "llama"}', "tokenizer.json": "{"}, "no model 'broken'|cannot be loaded"),
        ({"config.json": "{"}, "no model 'broken'|cannot be loaded"),
    ],
)
def test_a_damaged_directory_is_named(hero: Hero, tmp_path: Path, files: dict[str, str], messages: str) -> None:
    (tmp_path / "broken").mkdir()
    for name, text in files.items():
        (tmp_path / "broken" / name).write_text(text)
    result = hero("eval", "broken", *GUESS)
    assert result.exit_code == 2, result.output
    assert any(message in " ".join(result.stderr.split()) for message in messages.split("|")), result.stderr


def test_an_evaluation_without_a_turn_is_an_error(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = hero("eval", model, *GUESS, "--env-arg", "broken=[0,1,2,3]")
    assert result.exit_code == 2
    assert "each of 4 episodes ended in an error, the first in: ValueError: the dice fell off" in result.stderr
    assert "success" not in result.stdout
    monkeypatch.setattr(GuessEnv, "instructions", "long " * 1000)
    result = hero("eval", model, *GUESS)
    assert result.exit_code == 2
    assert "none of 4 episodes had a turn" in result.stderr


def test_an_evaluation_whose_service_is_given_up_ends_at_once(hero: Hero, model: str) -> None:
    GivenUpEnv.started = 0
    result = hero("eval", model, "--env", "given-up", "--split", "train")
    assert (result.exit_code, GivenUpEnv.started) == (2, 3)
    assert "warning: the user does not answer; waiting" in result.stderr
    assert "error: the user was given up" in result.stderr


def test_a_run_is_played_on_what_it_was_started_on(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.write_text("5", "utf-8")
    monkeypatch.setenv("GUESS_DATA", "data")
    arguments = ["--env", "located", *FAST[2:]]
    assert hero("run", "--model", model, "--steps", 0, "--out", "run", *arguments).exit_code == 0
    monkeypatch.delenv("GUESS_DATA")
    assert "5 episodes of 5 tasks" in hero("eval", "run").stdout
    assert "5 episodes of 5 tasks" in hero("eval", "run", "--env-arg", "broken=[0]").stdout
    (tmp_path / "other").write_text("6", "utf-8")
    assert hero("play", "--policy", "run", "--task", 0).exit_code == 0
    assert "6 episodes of 6 tasks" in hero("eval", "run", "--env-arg", "data=other").stdout
    data.write_text("6", "utf-8")
    for command in (["eval", "run"], ["play", "--policy", "run"]):
        refused(hero(*command), "env.data was", "bring back the data")


def test_other_arguments_leave_the_data_of_a_run_where_they_are(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("5", "utf-8")
    arguments = ["--env", "located", "--env-arg", "data=data", *FAST[2:]]
    assert hero("run", "--model", model, "--steps", 0, "--out", "run", *arguments).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "5 episodes of 5 tasks" in hero("eval", tmp_path / "run", "--env-arg", "broken=[0]").stdout
    assert hero("play", "--policy", tmp_path / "run", "--env-arg", "broken=[0]", "--task", 1).exit_code == 0
