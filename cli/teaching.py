"""How right the reviews of a run were, and whether its teacher followed them: its first step beside its last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from statistics import fmean
from typing import Any, Final, NamedTuple


class Measure(NamedTuple):
    """A metric of steps.jsonl for people; `hero.look.metrics` explains it.

    Attributes:
        short: one word for it.
        meaning: what it is, with its unit.
        path: its place in a row.
        scale: what its value is multiplied by.
        digits: decimal places.
    """

    short: str
    meaning: str
    path: str
    scale: float
    digits: int

    def texts(self, runs: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, str] | None:
        """Returns it in the first and in the last step as texts without its unit: the means over runs.

        A step that lacks it, such as one without any advice, does not count; a dash stands for no step that has it, and
        None for neither.

        Args:
            runs: rows of steps.jsonl of each, which may be none.
        """
        first, last = (self._mean(rows[at] for rows in runs if rows) for at in (0, -1))
        return (first or "–", last or "–") if first or last else None

    def _mean(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """Returns the mean over those rows that have it as text; "" for none."""
        values = [value for row in rows if (value := _at(row, self.path)) is not None]
        return f"{self.scale * fmean(values):.{self.digits}f}" if values else ""


REVIEWS: Final = (
    Measure("diagnosed", "turns with a finding, %", "reflection.turns_with_finding", 100, 0),
    Measure("verdicts", "verdicts that are right, %", "quality.verdicts_right", 100, 0),
    Measure("found", "wrong turns that are called wrong, %", "quality.faults_found", 100, 0),
    Measure("advice", "advice that is right, %", "quality.advice_right", 100, 0),
)
"""Measures of how right the reviews were."""
TEACHING: Final = (
    Measure("followed", "advice that the teacher follows, %", "update.followed", 100, 0),
    Measure("lift", "lift of the advised action, nats", "update.lift", 1, 1),
    Measure("unnecessary", "unnecessary turns an episode", "quality.unnecessary_turns", 1, 2),
)
"""Measures of what the teacher, and then the policy, made of them."""
MEASURES: Final = (*REVIEWS, *TEACHING)
"""Measures that tell whether hindsight had something to teach."""


def _at(row: Mapping[str, Any], path: str) -> float | None:
    """Returns the number at a place in a row; None where there is none."""
    value: Any = reduce(lambda part, name: part.get(name, {}), path.split("."), row)
    return None if isinstance(value, Mapping) else value
