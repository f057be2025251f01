"""Turns that learners learn from, with their siblings and findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hero.types import Diagnosis, Finding, Group, Stop, Tokens, Trajectory, Verdict

FAULTS: Final = frozenset({Verdict.UNNECESSARY, Verdict.INVALID, Verdict.FAILED})
"""Verdicts that call an action wrong."""


def sampled_turns(trajectory: Trajectory) -> Iterator[tuple[int, Tokens]]:
    """Yields the turns to learn from, with their tokens: none of an episode that ended in an error."""
    if trajectory.stop is not Stop.ERROR:
        for index, turn in enumerate(trajectory.turns):
            if turn.action.tokens and turn.action.tokens.action_ids:
                yield index, turn.action.tokens


def siblings_of(group: Group, episode: int) -> tuple[Trajectory, ...]:
    """Returns all other episodes of the task: the other members, then those of earlier steps, the newest first."""
    return (*group.members[:episode], *group.members[episode + 1 :], *reversed(group.earlier))


def finding_about(diagnosis: Diagnosis, turn: int) -> Finding | None:
    """Returns the finding about one turn; None if there is none with anything to say."""
    return next((finding for finding in diagnosis.findings if finding.turn == turn and finding.text()), None)
