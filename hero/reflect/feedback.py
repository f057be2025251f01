"""The environment's own words, passed on as they are: the baseline "environment feedback only"."""

from __future__ import annotations

from collections.abc import Sequence

from hero.types import Diagnosis, Finding, Trajectory


class FeedbackReflector:
    """Says of each turn what the environment said, and judges nothing (2606.11559, "Environment Feedback Only")."""

    name = "feedback"

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """One finding per turn, its feedback or else the observation that followed; none where both are empty."""
        return [Diagnosis(self.name, _findings(trajectory)) for trajectory in trajectories]


def _findings(trajectory: Trajectory) -> tuple[Finding, ...]:
    words = (turn.feedback or turn.observation for turn in trajectory.turns)
    return tuple(Finding(number, None, cause) for number, cause in enumerate(words) if cause)
