"""The reflector that judges a finished episode by rules: from the trajectory alone, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hero import registry
from hero.chat.thoughts import without_thoughts
from hero.errors import ConfigError
from hero.reflect.base import Judge
from hero.reflect.tool_error import tool_error
from hero.types import Diagnosis, Finding, Stop, Trajectory, Verdict

LIMITS: Final = (Stop.TRUNCATED, Stop.MAX_TURNS, Stop.MAX_TOKENS)
"""Ends of an episode that ran out of turns."""


class RulesReflector:
    """Judges turns by rules.

    In any environment the rules find invalid actions, and actions that change nothing, repeat an earlier one or lead in
    circles, and they judge the end of the episode. Where a package registers rules of an environment, as the entry
    point of `hero.rules` with the name of its `env_id` up to a slash, their findings come first. A turn without a
    matching rule has no finding.
    """

    name = "rules"

    def __init__(self) -> None:
        self._rules: dict[str, Judge | None] = {}

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory; its findings are empty where no rule applies."""
        return [Diagnosis(self.name, _findings(each, self._rules_of(each.env_id))) for each in trajectories]

    def _rules_of(self, env_id: str) -> Judge | None:
        if env_id not in self._rules:
            self._rules[env_id] = rules_of(env_id)
        return self._rules[env_id]


def rules_of(env_id: str) -> Judge | None:
    """Returns the rules that a package registers for an environment; None where none does.

    Raises:
        ConfigError: they cannot be imported.
    """
    family = env_id.partition("/")[0]
    return registry.load("hero.rules", family) if family in registry.names("hero.rules") else None


def _findings(trajectory: Trajectory, rules: Judge | None) -> tuple[Finding, ...]:
    if not trajectory.turns:
        return ()
    observations = trajectory.observations
    actions = [without_thoughts(turn.action.text) for turn in trajectory.turns]
    judged = _judged(rules, trajectory) if rules else {}
    # Rules of an environment understand its observations, and judge a way back to an earlier one by themselves.
    circles = rules is None
    findings = (
        judged[index] if index in judged else _finding(trajectory, observations, actions, index, circles)
        for index in range(len(trajectory.turns))
    )
    return tuple(finding for finding in findings if finding)


def _judged(rules: Judge, trajectory: Trajectory) -> Mapping[int, Finding | None]:
    """Returns what the rules of an environment find, once it is known to be of that kind.

    Raises:
        ConfigError: the rules raised, or returned something else.
    """
    remedy = "run hero.reflect.check.check_judge on them"
    try:
        judged = rules(trajectory)
    except Exception as error:
        raise ConfigError(
            f"the rules of {trajectory.env_id} raised {type(error).__name__}: {error}; {remedy}"
        ) from error
    if not isinstance(judged, Mapping) or not all(isinstance(each, Finding | None) for each in judged.values()):
        raise ConfigError(f"the rules of {trajectory.env_id} must map turns to findings, not {judged!r:.80}; {remedy}")
    return judged


def _finding(
    trajectory: Trajectory, observations: Sequence[str], actions: Sequence[str], index: int, circles: bool
) -> Finding | None:
    """Returns the finding of the first rule for all environments that applies to a turn.

    Args:
        observations: as in `Trajectory.observations`.
        actions: the text of each action, without thoughts.
        index: index of the turn.
        circles: whether to judge a way that leads back to an earlier observation.
    """
    turn, before = trajectory.turns[index], observations[index]
    if turn.info.get("action_valid") is False:
        return Finding(index, Verdict.INVALID, turn.feedback or "not a valid action")
    if "action_valid" not in turn.info and turn.info.get("tool_call") and (error := tool_error(turn.observation)):
        return Finding(index, Verdict.INVALID, f"the tool answered: {error}")
    last = index == len(trajectory.turns) - 1
    if last and trajectory.stop is Stop.TERMINATED:
        return _end(trajectory, index)
    if turn.observation and turn.observation == before:
        return Finding(index, Verdict.UNNECESSARY, "changed nothing")
    if (before, actions[index]) in zip(observations, actions[:index], strict=False):
        return Finding(index, Verdict.UNNECESSARY, "done before in the same place")
    if last and trajectory.stop in LIMITS:
        if trajectory.success:
            return _end(trajectory, index)
        return Finding(index, Verdict.FAILED, "the episode ran out of turns")
    if circles and turn.observation and turn.observation in observations[:index]:
        return Finding(index, Verdict.UNNECESSARY, "led back to what was seen before")
    return None


def _end(trajectory: Trajectory, index: int) -> Finding:
    """Returns the finding about the turn that ended the episode, by its reward where nothing says if it succeeded."""
    reported = trajectory.turns[-1].info.get("success") is not None
    if trajectory.success or (not reported and trajectory.reward >= 1):
        return Finding(index, Verdict.USEFUL, "ended the episode with success")
    return Finding(index, Verdict.FAILED, f"ended the episode with reward {trajectory.reward:.2f}")
