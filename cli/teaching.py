"""How right the reviews of a run were, and whether its teacher followed them: its first step beside its last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

Range = tuple[float, float]
"""A metric in the first and in the last step that has it."""


class Measure(NamedTuple):
    """A metric of steps.jsonl for people.

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

    def text(self, value: float) -> str:
        """Returns a value as text, without its unit."""
        return f"{self.scale * value:.{self.digits}f}"


MEASURES: Final = (
    Measure("diagnosed", "turns with a finding, %", "reflection.turns_with_finding", 100, 0),
    Measure("verdicts", "verdicts that are right, %", "quality.verdicts_right", 100, 0),
    Measure("advice", "advice that is right, %", "quality.advice_right", 100, 0),
    Measure("followed", "advice that the teacher follows, %", "update.followed", 100, 0),
    Measure("lift", "lift of the advised action, nats", "update.lift", 1, 1),
    Measure("unnecessary", "unnecessary turns an episode", "quality.unnecessary_turns", 1, 2),
)
"""What tells whether hindsight taught; `hero.look.metrics` explains each."""


def first_and_last(steps: Sequence[Mapping[str, Any]]) -> dict[str, Range]:
    """Returns each of `MEASURES` that a step has, by its path.

    Args:
        steps: rows of steps.jsonl.
    """
    there = {each.path: [value for row in steps if (value := _at(row, each.path)) is not None] for each in MEASURES}
    return {path: (values[0], values[-1]) for path, values in there.items() if values}


def _at(row: Mapping[str, Any], path: str) -> float | None:
    """Returns the number at a place in a row; None where there is none."""
    value: Any = reduce(lambda part, name: part.get(name, {}), path.split("."), row)
    return None if isinstance(value, Mapping) else value
