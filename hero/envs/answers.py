"""What an environment answers, read by those who cannot know whether it keeps the contract."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat


def read_start(answer: Any) -> tuple[str, str]:
    """The observation and the task id of what `reset` returned.

    Raises:
        TypeError: it is of another shape; the message names the value.
    """
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise TypeError(f"reset must return (observation, info), not {brief(answer)}")
    observation, info = answer
    _require_shape("reset", observation, info)
    if not isinstance(task_id := info.get("task_id"), str):
        raise TypeError(f"the info of reset must have task_id, a str, not {brief(task_id)}")
    return observation, task_id


def read_step(answer: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """What `step` returned, once it is known to be of that shape.

    Raises:
        TypeError: it is of another shape; the message names the value.
        ValueError: the reward is not a finite number.
    """
    if not (isinstance(answer, tuple) and len(answer) == 5):
        raise TypeError(f"step must return (observation, reward, terminated, truncated, info), not {brief(answer)}")
    observation, reward, terminated, truncated, info = answer
    _require_shape("step", observation, info)
    if not _is_finite(reward):
        raise ValueError(f"the reward of step must be a finite number, not {brief(reward)}")
    if not isinstance(feedback := info.get("feedback", ""), str):
        raise TypeError(f"the feedback in the info of step must be a str, not {brief(feedback)}")
    return observation, float(reward), bool(terminated), bool(truncated), info


def read_baseline(answer: Any) -> float | None:
    """What `doing_nothing` returned, once it is known to be a reward or None.

    Raises:
        ValueError: it is neither.
    """
    if answer is None:
        return None
    if not _is_finite(answer):
        raise ValueError(f"doing_nothing must give a finite number or None, not {brief(answer)}")
    return float(answer)


def _require_shape(call: str, observation: Any, info: Any) -> None:
    if not isinstance(observation, str):
        raise TypeError(f"the observation of {call} must be a str, not {brief(observation)}")
    if not isinstance(info, dict):
        raise TypeError(f"the info of {call} must be a dict, not {brief(info)}")


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, SupportsFloat) and math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def brief(value: object) -> str:
    """A value for an error message, at most 63 characters of it; its type, where it cannot be written."""
    try:
        return shortened(repr(value))
    except Exception:  # nested too deep, a number of too many digits, or a class whose repr fails
        return f"a {type(value).__name__} that cannot be shown"


def shortened(text: str) -> str:
    """At most 63 characters of a text."""
    return text if len(text) <= 60 else f"{text[:60]}..."
