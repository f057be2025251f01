"""Callbacks are called for every phase and turn, and end nothing when they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hero.reflect.rules import RulesReflector
from hero.runs.writer import Run
from hero.train import Callback
from tests.loop import PLAN, Listening, Mute, contents, training


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a run that is never interrupted."""
    path = tmp_path_factory.mktemp("finished") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run).run()
    return path


@pytest.mark.parametrize("method", ["on_phase_begin", "on_turn", "on_step_end", "on_evaluate", "on_warning"])
def test_a_callback_that_raises_ends_nothing(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    class Broken(Callback):
        """Raises in one of its methods."""

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    setattr(Broken, method, fail)
    reflector = Mute() if method == "on_warning" else RulesReflector()
    with Run.create(tmp_path / "run", {"seed": 7}) as run:
        assert training(run, reflector=reflector, callback=Broken()).run()
    (warned,) = caplog.messages
    assert warned == "Broken failed (OSError: [Errno 28] No space left on device); training goes on without it"
    if method != "on_warning":
        assert contents(tmp_path / "run") == contents(finished)


def test_a_callback_sees_every_phase_and_every_turn(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=1), callback=callback).run()
        turns = run.rows("steps")[0]["turns"] + sum(
            outcome["turns"] for row in run.rows("evals") for outcome in row["outcomes"]
        )
    assert callback.phases == [
        (0, "evaluation"), (1, "rollout"), (1, "reflection"), (1, "update"), (1, "evaluation"),
    ]  # fmt: skip
    assert callback.turns == turns
    assert callback.warnings == []
