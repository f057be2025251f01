"""The protocol of all reflectors, and of the rules that an environment brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from hero.types import Diagnosis, Finding, Trajectory

Judge: TypeAlias = Callable[[Trajectory], Mapping[int, Finding | None]]
"""Rules of one environment, an entry point of `hero.rules`: a pure function from an episode to findings by turn.

A turn that is missing is left to the rules for all environments. None keeps every rule from judging a turn, since its
text leaves open whether the action was right. `hero.reflect.check.check_judge` checks rules against this contract.
"""


@runtime_checkable
class Reflector(Protocol):
    """Reads whole episodes after their end, and judges each turn with hindsight."""

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory, in the same order; siblings (of the same task) may be compared.

        A finding never names a turn that its trajectory does not have.
        """
        ...
