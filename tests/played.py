"""Builds trajectories from actions and observations, and returns the findings of the rules about them."""

from __future__ import annotations

from collections.abc import Iterable

from hero.reflect.rules import RulesReflector
from hero.types import JSON, Action, Finding, Message, Stop, Trajectory, Turn, Verdict

USEFUL, UNNECESSARY, INVALID, FAILED = Verdict


def episode(
    steps: Iterable[tuple[str, str]],
    *,
    start: str = "start",
    reward: float = 0.0,
    stop: Stop = Stop.TERMINATED,
    env_id: str = "maze",
    invalid: tuple[int, ...] = (),
) -> Trajectory:
    """Returns a trajectory of actions and the observations that follow them; the reward comes last."""
    played: list[Turn] = []
    seen = start
    pairs = list(steps)
    for index, (action, observation) in enumerate(pairs):
        last = index == len(pairs) - 1
        info: dict[str, JSON] = {"action_valid": index not in invalid}
        if last and stop is Stop.TERMINATED:
            info["success"] = reward >= 1
        feedback = "no such thing; try another" if index in invalid else ""
        prompt = (Message("system", "act"), Message("user", seen))
        played.append(Turn(prompt, Action(action), observation, reward if last else 0.0, feedback, info))
        seen = observation
    return Trajectory(env_id, "0", 0, tuple(played), stop)


def findings(trajectory: Trajectory) -> dict[int, Finding]:
    return {finding.turn: finding for finding in RulesReflector().reflect([trajectory])[0].findings}
