"""Who watches a training run: told of everything, needed for nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

from hero.types import Turn

Phase = Literal["rollout", "reflection", "update", "evaluation"]
_LOG = logging.getLogger("hero")


class Observer:
    """Watches how training goes; override what you want to see."""

    def began(self, step: int, phase: Phase, episodes: int) -> None:
        """A phase of a step began, on that many episodes."""

    def turned(self, episode: int, turn: Turn) -> None:
        """An episode of the phase went on by a turn."""

    def stepped(self, row: Mapping[str, Any]) -> None:
        """A step was taken; its row in steps.jsonl."""

    def evaluated(self, row: Mapping[str, Any]) -> None:
        """An evaluation was made; its row in evals.jsonl."""

    def warned(self, text: str) -> None:
        """Something needs attention, though training can go on."""


def expendable(observer: Observer) -> Observer:
    """Returns an observer that passes everything on until that raises; then it warns in the log `hero`, once."""
    return _Expendable(observer)


class _Expendable(Observer):
    def __init__(self, observer: Observer) -> None:
        self.observer: Observer | None = observer

    def began(self, step: int, phase: Phase, episodes: int) -> None:
        self._pass(lambda observer: observer.began(step, phase, episodes))

    def turned(self, episode: int, turn: Turn) -> None:
        self._pass(lambda observer: observer.turned(episode, turn))

    def stepped(self, row: Mapping[str, Any]) -> None:
        self._pass(lambda observer: observer.stepped(row))

    def evaluated(self, row: Mapping[str, Any]) -> None:
        self._pass(lambda observer: observer.evaluated(row))

    def warned(self, text: str) -> None:
        self._pass(lambda observer: observer.warned(text))

    def _pass(self, tell: Callable[[Observer], None]) -> None:
        if self.observer is None:
            return
        try:
            tell(self.observer)
        except Exception as error:  # foreign code, and no reason to lose a run
            failed, self.observer = type(self.observer).__name__, None
            _LOG.warning("%s failed (%s: %s); training goes on without it", failed, type(error).__name__, error)
