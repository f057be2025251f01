"""Checks of a single answer of an environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from gymnasium.error import ResetNeeded

from hero.deadline import time_limit
from hero.envs.base import TextEnv
from hero.envs.validate import read_metrics
from hero.errors import require

MAX_SECONDS: Final = 10.0
"""Seconds within which a step of a played episode has to be answered."""


def start_episode(env: TextEnv, seed: int, task: int | None = None) -> tuple[str, dict[str, Any]]:
    """Resets an environment; draws the task where none is given.

    Raises:
        AssertionError: it raised, or took longer than `MAX_SECONDS`.
    """
    try:
        with time_limit(MAX_SECONDS, "reset"):
            return env.reset(seed=seed, options=None if task is None else {"task": task})
    except (Exception, SystemExit) as error:
        raise AssertionError(f"reset raised {error!r}") from error


def take_step(env: TextEnv, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """Takes a step.

    Raises:
        AssertionError: it raised, or took longer than `MAX_SECONDS`; the message names the action.
    """
    shown = shown_action(action)
    try:
        with time_limit(MAX_SECONDS, "the step"):
            return env.step(action)
    except TimeoutError as error:
        raise AssertionError(
            f"the action {shown} was not answered within {MAX_SECONDS:g} s; answer every string, and soon"
        ) from error
    except ResetNeeded:
        raise
    except (Exception, SystemExit) as error:
        raise AssertionError(
            f"the action {shown} raised {error!r}; any string is a legal action: answer one that cannot be parsed "
            "with an observation, action_valid = False and words in feedback"
        ) from error


def shown_action(action: str) -> str:
    """Returns an action as messages show it: quoted, and cut where it is long."""
    return repr(action if len(action) < 40 else action[:20] + "...")


def check_start(start: Any, where: str) -> None:
    """Checks what `reset` returned."""
    require(isinstance(start, tuple) and len(start) == 2, "reset must return (observation, info)")
    observation, info = start
    _check_public(observation, info, where)


def check_step(step: Any, where: str) -> None:
    """Checks what `step` returned."""
    require(isinstance(step, tuple) and len(step) == 5, "step must return observation, reward, two bools and info")
    observation, reward, terminated, truncated, info = step
    try:
        read_metrics(info.get("metrics", {}))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{where} {error}") from error
    _check_public(observation, info, where)
    require(
        isinstance(reward, int | float) and math.isfinite(reward),
        f"{where} the reward is {reward!r}, not a finite float",
    )
    require(type(terminated) is bool and type(truncated) is bool, f"{where} terminated and truncated must be bools")
    require(type(info.get("action_valid")) is bool, f"{where} info must have action_valid, a bool")
    feedback = info.get("feedback")
    require(isinstance(feedback, str), f'{where} info must have feedback, a str: "" where there is nothing to say')
    if feedback:
        require(
            feedback not in observation,
            f"{where} the observation holds the feedback {feedback!r}, which a policy must not see; keep it to info",
        )
    require(
        info["action_valid"] or feedback != "",
        f"{where} action_valid is False and feedback is empty; say what was wrong",
    )
    if terminated or truncated:
        require(
            type(info.get("success")) is bool,
            "the info of the last step must have success, a bool: was the task solved?",
        )


def _check_public(observation: str, info: Mapping[str, Any], where: str) -> None:
    require(isinstance(observation, str), f"{where} the observation is a {type(observation).__name__}, not a str")
    task = info.get("task_id")
    require(isinstance(task, str) and task != "", f"{where} info must have task_id, a non-empty str, not {task!r}")
    listed = info.get("available_actions")
    require(
        isinstance(listed, list) and all(isinstance(action, str) for action in listed),
        f"{where} info must have available_actions, a list of str (empty where actions are free text), not {listed!r}",
    )
    for key, value in info.items():
        require(
            _is_json(value), f"{where} info[{key!r}] is {value!r}, which JSON cannot carry; give plain Python values"
        )


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))
