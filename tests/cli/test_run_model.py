"""A run as the model of another run, and which model a name stands for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hero.envs.base import StepResult
from hero.models.export import export_model
from hero.runs.reader import WhichCheckpoint, read_checkpoint, read_config, read_episodes, read_rows
from hero.runs.writer import Run
from hero.types import Stop
from hero_cli.model import ModelChoice, load_model, with_model_defaults
from hero_cli.resolve import settings_of
from tests.cli.conftest import FAST, Hero, refused
from tests.doubles import GuessEnv
from tests.tiny_models import random_model


def weights(run: Path, which: WhichCheckpoint = "best") -> tuple[int, bytes]:
    """Returns the step of a checkpoint, and its weights."""
    found = read_checkpoint(run, which, lambda each: (each.step, (each.trainer / "model.safetensors").read_bytes()))
    assert found is not None
    return found


def judged(solved: int) -> Callable[[GuessEnv, str], StepResult]:
    """Returns an environment's `apply` that ends every episode at once, that of the first tasks in success."""

    def apply(env: GuessEnv, action: str) -> StepResult:
        right = env.task < solved
        return StepResult("That's it.", float(right), terminated=True, action_valid=True, success=right)

    return apply


def test_a_run_is_its_best_model(hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extended(run: str, steps: int, *, solved: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(GuessEnv, "apply", judged(solved))
            result = hero("run", "--resume", "--out", run, "--steps", steps)
            assert result.exit_code == 0, result.output

    assert hero("run", "--model", model, "--steps", 0, "--out", "first", *FAST).exit_code == 0
    extended("first", 2, solved=2)
    extended("first", 3, solved=0)
    (best, best_weights), (newest, newest_weights) = (weights(tmp_path / "first", w) for w in ("best", "newest"))
    assert (best, newest) == (2, 3)
    assert best_weights != newest_weights
    assert hero("run", "--model", "first", "--steps", 0, "--out", "second", *FAST).exit_code == 0
    assert weights(tmp_path / "second") == (0, best_weights)
    assert read_config(tmp_path / "second").provenance["model"]["step"] == 2
    extended("first", 4, solved=0)  # which leaves the best as it is
    extended("second", 1, solved=0)
    extended("first", 5, solved=3)
    refused(hero("run", "--resume", "--out", "second", "--steps", 2), "model.step was 2, and is 5; model.sha256 was")


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
        run.save_checkpoint(0, lambda trainer: trainer.mkdir(), best=0)
    refused(hero("run", "--model", "other", *FAST), "config.json does not say which model was trained")


def test_a_registered_name_goes_before_a_run_of_that_name(finished: Path, hero: Hero, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    assert "in webshop, validation" in hero("eval", "tiny", "--tasks", 1, "--env-arg", "level=easy").stdout
    assert "./tiny (best checkpoint, step 0) in guess, validation" in hero("eval", "./tiny", "--tasks", 1).stdout


def test_an_episode_ends_before_it_has_too_many_tokens(hero: Hero, model: str, tmp_path: Path) -> None:
    run = ["run", "--model", model, "--steps", 1, *FAST]
    assert hero(*run, "--out", "free").exit_code == 0
    free = [episode.trajectory for episode in read_episodes(tmp_path / "free")]
    first = {len(tokens.prompt_ids) for each in free if (tokens := each.turns[0].action.tokens)}
    limit = max(first) + 4  # the longest action of FAST
    result = hero(*run, "--max-tokens", limit, "--out", "limited")
    assert result.exit_code == 0, result.output
    limited = [episode.trajectory for episode in read_episodes(tmp_path / "limited")]
    assert {(len(each.turns), each.stop) for each in limited} <= {(1, Stop.MAX_TOKENS), (1, Stop.TERMINATED)}
    assert Stop.MAX_TOKENS in {each.stop for each in limited}
    assert max(len(each.turns) for each in free) > 1
    for row in read_rows(tmp_path / "limited", "evals"):
        assert {outcome["turns"] for outcome in row["outcomes"]} == {1}


@pytest.mark.parametrize(
    ("given", "learning_rate", "action_tokens"),
    [
        ({"model": "tiny"}, 2e-4, 48),
        ({"model": "tiny", "lora": 4}, 2e-3, 48),
        ({"model": "tiny", "lora": 4, "learning_rate": 0.5, "action_tokens": 7}, 0.5, 7),
        ({"model": "tiny-taubench"}, 2e-4, 128),
        ({}, 1e-5, 256),
    ],
)
def test_a_model_brings_what_suits_it(
    given: dict[str, object], learning_rate: float, action_tokens: int, tmp_path: Path
) -> None:
    export_model(random_model(context=1024), tmp_path)
    settings = settings_of({"model": str(tmp_path)} | given)
    lm = load_model(ModelChoice(settings.model), settings)
    settings = with_model_defaults(settings, lm)
    assert (settings.learning_rate, settings.action_tokens) == (pytest.approx(learning_rate), action_tokens)
    assert lm.policy().max_new_tokens == action_tokens


def test_a_run_records_what_its_model_brought(hero: Hero, tmp_path: Path) -> None:
    open_ended = [*FAST[: FAST.index("--action-tokens")], *FAST[FAST.index("--action-tokens") + 2 :]]
    result = hero("run", "--model", "tiny", "--steps", 0, *open_ended, "--out", "run")
    assert result.exit_code == 0, result.output
    settings = read_config(tmp_path / "run").settings
    assert (settings["learning_rate"], settings["action_tokens"]) == (2e-4, 48)
