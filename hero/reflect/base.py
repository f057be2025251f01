"""The protocol of all reflectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hero.types import Diagnosis, Trajectory


@runtime_checkable
class Reflector(Protocol):
    """Reads whole episodes, after their end, and says of each turn what hindsight shows."""

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """One diagnosis per trajectory, in the same order; siblings (equal task) may be compared.

        A finding never names a turn that its trajectory does not have.
        """
        ...
