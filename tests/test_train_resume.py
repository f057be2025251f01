"""A run that stops anywhere goes on as if it had not."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.distill.learners import Distillation
from hero.distill.relatives import Demonstration
from hero.distill.sums import Sum, Weighted
from hero.errors import UnavailableError
from hero.plan import Plan
from hero.runs.reader import read_rows
from hero.runs.writer import Run
from hero.train import Callback, Phase
from hero.types import Turn
from tests.doubles import GuessEnv, GuessTrainer, OvershootingTrainer
from tests.loop import FALLING, PLAN, contents, trained, training


@pytest.mark.parametrize("after", range(7))
def test_a_run_that_was_asked_to_stop_goes_on_as_if_it_had_not(finished: Path, tmp_path: Path, after: int) -> None:
    path, asked = tmp_path / "run", iter(range(100))
    with Run.create(path, {"seed": 7}) as run:
        assert training(run).run(interrupted=lambda: next(asked) == after) == (after == 6)
    with Run.resume(path) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


SPARING = replace(PLAN, eval_every=6, save_every=4)


@pytest.mark.parametrize("after", range(1, 6))
def test_a_run_that_saves_seldom_loses_nothing_when_it_is_asked_to_stop(tmp_path: Path, after: int) -> None:
    path, asked = tmp_path / "run", iter(range(100))
    saved: list[int] = []
    with Run.create(path, {"seed": 7}) as run:
        trainer = GuessTrainer()
        save = trainer.save
        trainer.save = lambda folder: (saved.append(trainer.updates), save(folder))[1]  # type: ignore[method-assign]
        assert not training(run, SPARING, trainer=trainer).run(interrupted=lambda: next(asked) == after)
        assert run.checkpoint is not None
        assert run.checkpoint.step == after
    assert saved == sorted({0, 4 if after >= 4 else 0, after})


ALONE = replace(PLAN, group_size=1)
REMEMBERING = Sum(Weighted(Demonstration(), 0, 1), Weighted(Distillation(), 1, 0))


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a run that learns from earlier successes, more and more, and is never interrupted."""
    path = tmp_path_factory.mktemp("remembered") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run, ALONE, learner=REMEMBERING).run()
    return path


@pytest.mark.parametrize("after", range(1, 6))
def test_a_run_that_remembers_successes_goes_on_as_if_it_had_not_stopped(
    remembered: Path, tmp_path: Path, after: int
) -> None:
    path, asked = tmp_path / "run", iter(range(100))
    with Run.create(path, {"seed": 7}) as run:
        assert not training(run, ALONE, learner=REMEMBERING).run(interrupted=lambda: next(asked) == after)
    with Run.resume(path) as run:
        assert training(run, ALONE, learner=REMEMBERING).run()
    assert contents(path) == contents(remembered)


class Death(BaseException):
    """Stands for a sudden death of the process at a chosen call."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a run that stops by itself and is never interrupted."""
    path = tmp_path_factory.mktemp("stopped") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run, STOPPING, trainer=OvershootingTrainer()).run()
    return path


@pytest.fixture(scope="module")
def sparing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a run that saves seldom and is never interrupted."""
    path = tmp_path_factory.mktemp("sparing") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run, SPARING).run()
    return path


STOPPING = replace(FALLING, stop_when_worse=2)


@settings(max_examples=20)
@given(st.integers(0, 250))
def test_a_run_that_dies_anywhere_goes_on_as_if_it_had_not(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    path = tmp_path_factory.mktemp("mortal") / "run"
    die_and_go_on(path, calls, PLAN, GuessTrainer)
    assert contents(path) == contents(finished)


@settings(max_examples=20)
@given(st.integers(0, 250))
def test_a_run_that_saves_seldom_and_dies_anywhere_goes_on_as_if_it_had_not(
    sparing: Path, tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    path = tmp_path_factory.mktemp("mortal") / "run"
    die_and_go_on(path, calls, SPARING, GuessTrainer)
    assert contents(path) == contents(sparing)


@settings(max_examples=20)
@given(st.integers(0, 600))
def test_a_run_that_dies_anywhere_before_it_stops_by_itself_stops_as_if_it_had_not_died(
    stopped: Path, tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    path = tmp_path_factory.mktemp("mortal") / "run"
    die_and_go_on(path, calls, STOPPING, OvershootingTrainer)
    assert contents(path) == contents(stopped)


def die_and_go_on(path: Path, calls: int, plan: Plan, trainer: type[GuessTrainer]) -> None:
    """Trains until some call of the callback, which dies, and then resumes the run."""

    class Mortal(Callback):
        left = calls

        def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
            self.age()

        def on_turn(self, episode: int, turn: Turn) -> None:
            self.age()

        def on_step_end(self, row: Mapping[str, Any]) -> None:
            self.age()

        def on_evaluate(self, row: Mapping[str, Any]) -> None:
            self.age()

        def age(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Death

    with Run.create(path, {"seed": 7}) as run:
        try:
            training(run, plan, trainer=trainer(), callback=Mortal()).run()
        except Death:
            assert not (path / "summary.json").exists()
    with Run.resume(path) as run:
        assert training(run, plan, trainer=trainer()).run()


class Talking(Callback):
    """Prints a line for every phase and every turn."""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        print(step, phase, flush=True)  # noqa: T201

    def on_turn(self, episode: int, turn: Turn) -> None:
        print(episode, flush=True)  # noqa: T201


SCRIPT = """
    from pathlib import Path
    from hero.runs.writer import Run
    from tests.loop import training
    from tests.test_train_resume import Talking
    path = Path({path!r})
    started = (path / "config.json").exists()
    with Run.resume(path) if started else Run.create(path, {{"seed": 7}}) as run:
        print("started", flush=True)
        training(run, callback=Talking()).run()
"""


def test_kill_9_at_random_moments_changes_nothing(finished: Path, tmp_path: Path) -> None:
    path, moments = tmp_path / "run", random.Random(0)
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT.format(path=str(path)))]
    deaths = 0
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for _ in range(moments.randint(1, 60)):
                process.stdout.readline()
            process.kill()
            if process.wait() == 0:
                break
            deaths += 1
        if (path / "summary.json").exists():
            break
        if deaths == 4:  # enough: the last one may live
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert deaths >= 1
    assert contents(path) == contents(finished)


def test_a_finished_run_is_resumed_without_a_change(finished: Path) -> None:
    before = contents(finished)
    trainer = GuessTrainer()
    with Run.resume(finished) as run:
        assert training(run, trainer=trainer).run()
    assert contents(finished) == before
    assert trainer.updates == 6


class Cut(GuessEnv):
    """An environment whose service is given up in the ninth episode."""

    started = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        Cut.started += 1
        if Cut.started == 9:
            raise UnavailableError("the user does not answer")
        return super().reset(seed=seed, options=options)


def test_a_run_whose_service_is_given_up_stops_and_goes_on_later(finished: Path, tmp_path: Path) -> None:
    Cut.started, path = 0, tmp_path / "run"
    with Run.create(path, {"seed": 7}) as run, pytest.raises(UnavailableError, match="does not answer"):
        training(run, envs=[Cut() for _ in range(3)]).run()
    assert Cut.started == 9
    with Run.resume(path) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


@pytest.mark.parametrize("steps", [2, 4])
def test_a_run_that_is_extended_trains_as_one_that_was_longer_from_the_start(
    finished: Path, tmp_path: Path, steps: int
) -> None:
    path = tmp_path / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run, replace(PLAN, steps=steps)).run()
    with Run.resume(path) as run:
        assert training(run).run()
    assert trained(path) == trained(finished)
    # Only the evaluation at the end of the shorter run was a whole one.
    evals = read_rows(path, "evals")
    assert [row for row in evals if (row["step"], row["mode"]) != (steps, "greedy")] == read_rows(finished, "evals")
