"""`hero check`: what the first step of a run would learn from, and the sentence that follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hero.distill.batch import UpdateBatch
from hero.distill.loss import UpdateLoss
from hero.runs.reader import read_rows
from hero_cli.readiness import Readiness
from tests.cli.conftest import Hero, refused, without_loading

READY = Readiness(
    episodes=32,
    valid_actions=0.9,
    success=0.2,
    turns_with_finding=0.8,
    turns_called_wrong=60,
    turns_distilled=90,
    turns_too_long=0,
    turns_faulted=60,
    turns_advised=50,
    turns_gated=6,
    followed=0.5,
    repeated=0.5,
    lift=0.1,
    verdicts_right=0.9,
    faults_found=0.8,
    advice_right=0.5,
    longest_prompt=1000,
    context_length=4096,
)


def test_it_measures_what_the_first_step_of_a_run_learns_from(hero: Hero) -> None:
    arguments = [
        "--env-arg",
        "level=easy",
        "--episodes",
        12,
        "--max-turns",
        4,
        "--threads",
        1,
        "--seed",
        3,
        "--reflector",
        "rules",
    ]
    checked = hero("check", *arguments, "--json")
    assert checked.exit_code == 0, checked.output
    record = json.loads(checked.stdout)
    ran = hero("run", *arguments, "--steps", 1, "--eval-tasks", 1, "--out", "run")
    assert ran.exit_code == 0, ran.output
    (step,) = read_rows(Path("run"), "steps")
    counts = [f"turns_{name}" for name in ("distilled", "too_long", "faulted", "advised", "gated")]
    for name in (*counts, "followed", "repeated", "lift"):
        assert record[name] == pytest.approx(step["update"][name]), name
    for name in ("success", "valid_actions", "episodes"):
        assert record[name] == step["rollout"][name]
    assert record["turns_with_finding"] == step["reflection"]["turns_with_finding"]
    assert record["turns_advised"] >= 10
    assert record["followed"] > 0.3  # the policy that ships follows advice
    assert 100 < record["longest_prompt"] < record["context_length"] == 4096
    assert record["can_teach"] == "yes"
    assert record["thresholds"] == {
        "turns_with_finding": 0.05,
        "followed": 0.3,
        "repeated": 0.5,
        "lowered": 0.5,
        "advice_right": 0.5,
        "turns": 10,
    }
    assert record["why"].startswith(
        "Hindsight can teach tiny here: shown the diagnosis, it takes the advised action in "
    )
    assert without_loading(checked.stderr).strip() == ""


def test_a_model_that_follows_nothing_cannot_be_taught(hero: Hero, model: str) -> None:
    arguments = ["--episodes", 4, "--max-turns", 3, "--action-tokens", 4, "--threads", 1, "--reflector", "rules"]
    result = hero("check", "--env", "guess", "--model", model, *arguments)
    assert result.exit_code == 0, result.output
    assert "takes the advised action    not measured\n" in result.stdout
    why = result.stdout.splitlines()[-1]
    assert why.startswith(f"Hindsight cannot teach {model} here: shown the diagnosis, it finds the action less likely")
    assert "(50 % are needed); train it first on replies that follow advice" in why


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--learner", "grpo", "--group-size", 2],
            "--learner grpo reads no diagnoses, so there is nothing to check; give one that does",
        ),
        (["--learner", "base"], "--episodes 4 does nothing with --learner base"),
        (["--env", "gues"], "hero.envs has no 'gues'; did you mean 'guess'?"),
        (["--model", "tinny"], "there is no model 'tinny'; did you mean 'tiny'?"),
        (["--episodes", 5, "--group-size", 2], "--episodes 5 cannot be split into groups of 2"),
        (["--env-arg", "broken=[0,1,2,3,4,5,6,7,8,9,10,11]"], "fix the environment"),
    ],
)
def test_mistakes_are_reported(hero: Hero, model: str, arguments: list[str], message: str) -> None:
    result = hero("check", "--env", "guess", "--model", model, "--episodes", 4, "--action-tokens", 4, *arguments)
    refused(result, message)


def test_a_default_of_its_own_is_not_taken_for_an_option(hero: Hero) -> None:
    refused(hero("check", "--learner", "base"), "--learner base reads no diagnoses, so there is nothing to check")
    assert "[default: 32]" in hero("check", "--help").stdout


def test_a_check_leaves_the_weights_in_the_precision_that_they_have(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[torch.dtype] = []
    measure = UpdateLoss.measure

    def watched(loss: UpdateLoss, batch: UpdateBatch) -> dict[str, float]:
        measured.extend(weight.dtype for weight in (*loss.student.parameters(), *loss.teacher.parameters()))
        return measure(loss, batch)

    monkeypatch.setattr(UpdateLoss, "measure", watched)
    options = ["--episodes", 4, "--action-tokens", 4, "--reflector", "rules", "--dtype", "bfloat16"]
    result = hero("check", "--env", "guess", "--model", model, *options)
    assert result.exit_code == 0, result.output
    assert set(measured) == {torch.bfloat16}


def test_settings_that_decide_nothing_here_are_no_options(hero: Hero) -> None:
    refused(hero("check", "--learning-rate", 1), "No such option")


@pytest.mark.parametrize(
    ("changes", "can_teach", "words"),
    [
        (
            {},
            "yes",
            "it takes the advised action in 50 % of the faulted turns (at least 30 %) and the same action again in "
            "50 % (at most 50 %). Whether it comes to act so without being shown, only a run shows.",
        ),
        ({"followed": None}, "yes", "it finds the action less likely than before in 90 % of the faulted turns"),
        ({"followed": None, "turns_gated": 31}, "no", "less likely than before in 48 % of the faulted turns (50 % are"),
        ({"followed": 0.29}, "no", "takes the advised action in 29 % of the faulted turns (30 % are needed); train it"),
        ({"repeated": 0.51}, "no", "it takes the same action again in 51 % (at most 50 %); train it first"),
        ({"lift": 0.0}, "no", "the advice makes the advised action no likelier (lift 0.00 nats); train it"),
        ({"lift": 0.0, "turns_advised": 9}, "yes", "Hindsight can teach M here"),
        ({"lift": None}, "yes", "Hindsight can teach M here"),
        ({"advice_right": 0.49}, "yes", "But only 49 % of the advice is right, as the environment knows"),
        ({"advice_right": None}, "yes", "Hindsight can teach M here"),
        ({"turns_with_finding": 0.05}, "yes", "Hindsight can teach M here"),
        ({"turns_with_finding": 0.04}, "no", "something about 4 % of the turns, and 5 % are needed; take another"),
        ({"turns_too_long": 90}, "yes", "Hindsight can teach M here"),
        ({"turns_too_long": 91}, "no", "91 of 181 privileged prompts exceed its context; give fewer --max-turns"),
        ({"turns_called_wrong": 0, "turns_faulted": 0}, "unknown", "calls no action wrong; give more --episodes"),
        ({"turns_faulted": 0, "repeated": None}, "unknown", "its actions hold thoughts"),
        ({"turns_faulted": 0, "turns_distilled": 0}, "unknown", "the learner distils none of these turns"),
        (
            {"turns_faulted": 9, "repeated": 1.0},
            "unknown",
            "of the actions 9 are called wrong, and 10 are needed",
        ),
        ({"turns_faulted": 10, "repeated": 1.0}, "no", "it takes the same action again in 100 %"),
        ({"turns_advised": 10, "followed": 0.0}, "no", "takes the advised action in 0 % of the faulted turns"),
        ({"turns_advised": 9, "followed": 0.0}, "yes", "it finds the action less likely than before in 90 %"),
        ({"repeated": None, "followed": None}, "no", "in all 60 faulted turns the diagnosis advises the very action"),
    ],
    ids=str,
)
def test_the_answer_names_the_threshold_that_decided(changes: dict[str, float], can_teach: str, words: str) -> None:
    answer = replace(READY, **changes).answer("M")  # type: ignore[arg-type]
    assert answer.can_teach == can_teach
    assert words in answer.why
