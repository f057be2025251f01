"""Rules that read a finished episode: no model, no training, nothing but what the trajectory shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hero.reflect import taubench, webshop
from hero.thoughts import without_thoughts
from hero.types import Diagnosis, Finding, Stop, Trajectory, Verdict

Judge = Callable[[Trajectory, Sequence[str]], Mapping[int, Finding | None]]
"""Finds what the text tells of turns; None of a turn of which no rule is to speak, since the text leaves it open."""

JUDGES: Final[Mapping[str, Judge]] = {"webshop": webshop.judge, "taubench": taubench.judge}
"""Environments whose text the rules can read, by `env_id` up to a slash; what they find goes before the other rules."""

LIMITS: Final = (Stop.TRUNCATED, Stop.MAX_TURNS, Stop.MAX_TOKENS)


class RulesReflector:
    """Judges turns by rules.

    On any environment: invalid actions, actions that change nothing, that repeat themselves or lead in circles, the
    end of the episode. On those of `JUDGES` also what their text tells. Turns that no rule speaks of have no finding.
    """

    name = "rules"

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """One diagnosis per trajectory; empty where no rule has anything to say."""
        return [Diagnosis(self.name, _findings(trajectory)) for trajectory in trajectories]


def _findings(trajectory: Trajectory) -> tuple[Finding, ...]:
    if not trajectory.turns:
        return ()
    seen = observations(trajectory)
    words = [without_thoughts(turn.action.text) for turn in trajectory.turns]
    judge = JUDGES.get(trajectory.env_id.partition("/")[0])
    judged = judge(trajectory, seen) if judge else {}
    # Where the text of the pages is understood, going back to one is judged by what is on it.
    circles = judge is None
    findings = (
        judged[number] if number in judged else _finding(trajectory, seen, words, number, circles)
        for number in range(len(seen) - 1)
    )
    return tuple(finding for finding in findings if finding)


def observations(trajectory: Trajectory) -> list[str]:
    """What each turn saw, and last what the last turn led to; the first is the last message of the first prompt."""
    prompt = trajectory.turns[0].prompt
    return [prompt[-1].content if prompt else "", *(turn.observation for turn in trajectory.turns)]


def _finding(
    trajectory: Trajectory, seen: Sequence[str], words: Sequence[str], number: int, circles: bool
) -> Finding | None:
    """What the rules for all environments say of one turn; the first that applies speaks."""
    turn = trajectory.turns[number]
    if turn.info.get("action_valid") is False:
        return Finding(number, Verdict.INVALID, turn.feedback or "not a valid action")
    last = number == len(trajectory.turns) - 1
    if last and trajectory.stop is Stop.TERMINATED:
        return _end(trajectory, number)
    if turn.observation and turn.observation == seen[number]:
        return Finding(number, Verdict.UNNECESSARY, "changed nothing")
    if (seen[number], words[number]) in zip(seen, words[:number], strict=False):
        return Finding(number, Verdict.UNNECESSARY, "done before in the same place")
    if last and trajectory.stop in LIMITS:
        return Finding(number, Verdict.FAILED, "the episode ran out of turns")
    if circles and turn.observation and turn.observation in seen[:number]:
        return Finding(number, Verdict.UNNECESSARY, "led back to what was seen before")
    return None


def _end(trajectory: Trajectory, number: int) -> Finding:
    if trajectory.success or trajectory.reward >= 1:
        return Finding(number, Verdict.USEFUL, "ended the episode with success")
    return Finding(number, Verdict.FAILED, f"ended the episode with reward {trajectory.reward:.2f}")
