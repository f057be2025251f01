"""The reflector that passes on the environment's own words: the baseline "environment feedback only"."""

from __future__ import annotations

from collections.abc import Sequence

from hero.types import Diagnosis, Finding, Trajectory


class FeedbackReflector:
    """Repeats the environment's feedback on each turn, without a verdict (2606.11559, "Environment Feedback Only")."""

    name = "feedback"

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns a finding per turn: its feedback, or else the observation that followed; none if both are empty."""
        return [Diagnosis(self.name, _findings(trajectory)) for trajectory in trajectories]


def _findings(trajectory: Trajectory) -> tuple[Finding, ...]:
    words = (turn.feedback or turn.observation for turn in trajectory.turns)
    return tuple(Finding(turn, None, cause) for turn, cause in enumerate(words) if cause)
