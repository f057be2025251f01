"""Success of one run over the environment turns that it trained on, per validation task."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from hero.evaluation import Evaluation

SuccessByTask: TypeAlias = Mapping[str, float]
"""Success of each validation task, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The sampled evaluations of one run.

    Attributes:
        turns: environment turns of training before each evaluation, strictly ascending; empty for a run that has none.
        success: success of each evaluation.
        last_step: turns before the newest training step.
        finished: whether the run is over, so that nothing follows the last evaluation.
    """

    turns: tuple[int, ...]
    success: tuple[SuccessByTask, ...]
    last_step: int
    finished: bool

    @classmethod
    def of_rows(cls, evals: Sequence[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]], finished: bool) -> Self:
        """Returns the curve in the records of a run.

        Args:
            evals: rows of evals.jsonl.
            steps: rows of steps.jsonl.
        """
        points = {
            row["turns"]: Evaluation.of_record(row).per_task("success") for row in evals if row["mode"] == "sampled"
        }
        return cls(tuple(points), tuple(points.values()), steps[-2]["turns"] if len(steps) > 1 else 0, finished)

    def at(self, turns: float) -> SuccessByTask | None:
        """Returns success after a number of turns, by linear interpolation between the evaluations around them.

        Between two evaluations it has the tasks of both. After the last one a finished run keeps its last values, and
        one that goes on has none yet: None.
        """
        right = bisect_left(self.turns, turns)
        if right == len(self.turns):
            return self.success[-1] if self.turns and self.finished else None
        after = self.success[right]
        if self.turns[right] == turns or not right:
            return after
        before, start, end = self.success[right - 1], self.turns[right - 1], self.turns[right]
        part = (turns - start) / (end - start)
        return {task: (1 - part) * before[task] + part * after[task] for task in before if task in after}

    def at_budget(self, budget: float) -> SuccessByTask | None:
        """Returns success for a budget of turns: that at its end for a run which used it up in its last step.

        A run begins no step after its budget, so that its last one may exceed it; its last evaluation, which may have
        more tasks than those before, then counts as it is.
        """
        return self.success[-1] if self._ends_with(budget) else self.at(budget)

    def over(self, budget: int) -> int:
        """Returns how many turns more than the budget `at_budget` counts; 0 where it counts no more."""
        return max(self.end - budget, 0) if self._ends_with(budget) else 0

    def _ends_with(self, budget: float) -> bool:
        """Returns whether the run is over, and its last step used the budget up, or it is larger."""
        return bool(self.turns) and self.finished and budget > self.last_step

    @property
    def end(self) -> int:
        """Turns before the last evaluation; 0 without any."""
        return self.turns[-1] if self.turns else 0
