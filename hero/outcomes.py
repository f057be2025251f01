"""The outcomes of single episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from hero.types import Stop, Trajectory


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one episode, with all data that statistics need.

    Attributes:
        valid: share of its turns whose action was valid; 0 for an episode without turns.
        error: the exception of the environment; "" unless `stop` is `Stop.ERROR`.
        noop_reward: reward of the no-op baseline, which does nothing, on its task; None where that is not known.
        tool_calls: number of its turns that called a tool; None where there are no tools.
        metrics: numbers that the environment reported, by name.
    """

    task_id: str
    success: bool
    reward: float
    turns: int
    valid: float
    stop: Stop
    error: str = ""
    noop_reward: float | None = None
    tool_calls: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, trajectory: Trajectory, noop_reward: float | None = None) -> Self:
        """Returns the outcome of an episode."""
        valid = [turn.info.get("action_valid") is True for turn in trajectory.turns]
        tool_calls = [turn.info["tool_call"] is True for turn in trajectory.turns if "tool_call" in turn.info]
        return cls(
            task_id=trajectory.task_id,
            success=trajectory.success,
            reward=trajectory.reward,
            turns=len(valid),
            valid=sum(valid) / max(1, len(valid)),
            stop=trajectory.stop,
            error=trajectory.error,
            noop_reward=noop_reward,
            tool_calls=sum(tool_calls) if tool_calls else None,
            metrics=trajectory.metrics,
        )


def metric_values(outcomes: Iterable[Outcome]) -> dict[str, list[float]]:
    """Returns the values of each metric in the episodes that report it, by name."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.metrics.items():
            values.setdefault(name, []).append(value)
    return values
