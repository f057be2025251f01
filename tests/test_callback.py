"""Callbacks are called for every phase and turn, and end nothing when they fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hero.callback import Callback, expendable
from hero.reflect.rules import RulesReflector
from hero.runs.reader import read_episodes
from hero.runs.writer import Run
from tests.loop import PLAN, Listening, Mute, contents, training


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


def test_of_several_callbacks_the_others_go_on_without_the_one_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Callback):
        def on_step_end(self, row: Mapping[str, Any]) -> None:
            calls.append("broken")
            raise OSError("disk full")

    calls: list[str] = []
    first, last = Listening(), Listening()
    callback = expendable(first, Broken(), last)
    for step in (1, 2):
        callback.on_step_end({"step": step})
    assert first.steps == last.steps == [{"step": 1}, {"step": 2}]
    assert calls == ["broken"]
    assert caplog.messages == ["Broken failed (OSError: disk full); training goes on without it"]


def test_a_callback_sees_every_phase_and_every_turn(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=1), callback=callback).run()
        steps, evals = run.rows("steps"), run.rows("evals")
    played = [episode.trajectory for episode in read_episodes(tmp_path)]
    assert callback.phases == [
        (0, "evaluation", 10), (1, "rollout", 8), (1, "reflection", 8), (1, "update", 8), (1, "evaluation", 10),
    ]  # fmt: skip
    first, rollout, reflection, update, last = callback.turns
    assert rollout == {index: list(trajectory.turns) for index, trajectory in enumerate(played)}
    assert reflection == update == {}
    for turns, rows in ((first, evals[:2]), (last, evals[2:])):
        sampled, greedy = ([outcome["turns"] for outcome in row["outcomes"]] for row in rows)
        assert {index: len(of_both) for index, of_both in turns.items()} == dict(
            enumerate(one + other for one, other in zip(sampled, greedy, strict=True))
        )
    assert (callback.steps, callback.evaluations) == (steps, evals)
    assert callback.warnings == []
