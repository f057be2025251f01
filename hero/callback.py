"""Who watches a training run: told of everything, needed for nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

from hero.types import Turn

Phase = Literal["rollout", "reflection", "update", "evaluation"]
_LOG = logging.getLogger("hero")


class Callback:
    """Watches how training goes; override what you want to see."""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        """A phase of a step began, on that many episodes."""

    def on_turn(self, episode: int, turn: Turn) -> None:
        """An episode of the phase went on by a turn."""

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        """A step was taken; its row in steps.jsonl."""

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        """An evaluation was made; its row in evals.jsonl."""

    def on_warning(self, text: str) -> None:
        """Something needs attention, though training can go on."""


def expendable(callback: Callback) -> Callback:
    """Returns a callback that passes everything on until that raises; then it warns in the log `hero`, once."""
    return _Expendable(callback)


class _Expendable(Callback):
    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self._pass(lambda callback: callback.on_phase_begin(step, phase, episodes))

    def on_turn(self, episode: int, turn: Turn) -> None:
        self._pass(lambda callback: callback.on_turn(episode, turn))

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self._pass(lambda callback: callback.on_step_end(row))

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self._pass(lambda callback: callback.on_evaluate(row))

    def on_warning(self, text: str) -> None:
        self._pass(lambda callback: callback.on_warning(text))

    def _pass(self, tell: Callable[[Callback], None]) -> None:
        if self.callback is None:
            return
        try:
            tell(self.callback)
        except Exception as error:  # foreign code, and no reason to lose a run
            failed, self.callback = type(self.callback).__name__, None
            _LOG.warning("%s failed (%s: %s); training goes on without it", failed, type(error).__name__, error)
