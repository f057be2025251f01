"""Callbacks of a training run, which observe it and do not influence it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from hero.types import Turn

Phase = Literal["rollout", "reflection", "update", "evaluation"]
_LOG = logging.getLogger("hero")


class Callback:
    """Observes training; override the methods of the events that you want to see."""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        """Runs when a phase of a step begins, with the number of its episodes."""

    def on_turn(self, episode: int, turn: Turn) -> None:
        """Runs after each turn of an episode of the phase."""

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        """Runs after a step, with its row in steps.jsonl."""

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        """Runs after an evaluation, with its row in evals.jsonl."""

    def on_warning(self, text: str) -> None:
        """Runs when something needs attention, though training can go on."""


def expendable(*callbacks: Callback) -> Callback:
    """Returns a callback that forwards to others, in their order.

    One that raises is left out from then on, which is a warning in the log `hero`.
    """
    return _Expendable(callbacks)


class _Expendable(Callback):
    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self._forward(lambda callback: callback.on_phase_begin(step, phase, episodes))

    def on_turn(self, episode: int, turn: Turn) -> None:
        self._forward(lambda callback: callback.on_turn(episode, turn))

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self._forward(lambda callback: callback.on_step_end(row))

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self._forward(lambda callback: callback.on_evaluate(row))

    def on_warning(self, text: str) -> None:
        self._forward(lambda callback: callback.on_warning(text))

    def _forward(self, call: Callable[[Callback], None]) -> None:
        for callback in tuple(self.callbacks):
            try:
                call(callback)
            except Exception as error:  # foreign code, and no reason to lose a run
                self.callbacks.remove(callback)
                name = type(callback).__name__
                _LOG.warning("%s failed (%s: %s); training goes on without it", name, type(error).__name__, error)
