"""Rules that read a finished episode: no model, no training, nothing but what the trajectory shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hero import registry
from hero.chat.thoughts import without_thoughts
from hero.reflect.base import Rules
from hero.types import Diagnosis, Finding, Stop, Trajectory, Verdict

LIMITS: Final = (Stop.TRUNCATED, Stop.MAX_TURNS, Stop.MAX_TOKENS)


class RulesReflector:
    """Judges turns by rules.

    In any environment the rules find invalid actions, actions that change nothing, repeat an earlier one or lead in
    circles, and judge the end of the episode. Where a package registers rules of an environment (the entry point of
    `hero.rules` that is named like its `env_id` up to a slash), their findings come first. A turn without a matching
    rule has no finding.
    """

    name = "rules"

    def __init__(self) -> None:
        self._rules: dict[str, Rules | None] = {}

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory; its findings are empty where no rule applies."""
        return [Diagnosis(self.name, _findings(each, self._rules_of(each.env_id))) for each in trajectories]

    def _rules_of(self, env_id: str) -> Rules | None:
        family = env_id.partition("/")[0]
        if family not in self._rules:
            known = family in registry.names("hero.rules")
            self._rules[family] = registry.load("hero.rules", family) if known else None
        return self._rules[family]


def _findings(trajectory: Trajectory, rules: Rules | None) -> tuple[Finding, ...]:
    if not trajectory.turns:
        return ()
    seen = trajectory.observations
    words = [without_thoughts(turn.action.text) for turn in trajectory.turns]
    judged = rules(trajectory) if rules else {}
    # Where the text of the pages is understood, going back to one is judged by what is on it.
    circles = rules is None
    findings = (
        judged[number] if number in judged else _finding(trajectory, seen, words, number, circles)
        for number in range(len(seen) - 1)
    )
    return tuple(finding for finding in findings if finding)


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
