"""What an environment answers, read by those who cannot know whether it keeps the contract."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, SupportsFloat

from hero.errors import ConfigError


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
    """What `noop_reward` returned, once it is known to be a reward or None.

    Raises:
        ValueError: it is neither.
    """
    if answer is None:
        return None
    if not _is_finite(answer):
        raise ValueError(f"noop_reward must give a finite number or None, not {brief(answer)}")
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


def require_one_of(name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuses a value that is none of those allowed.

    Raises:
        ConfigError: it is none of them; the message names all.
    """
    allowed = list(allowed)  # what cannot be hashed is refused, too
    if value not in allowed:
        raise ConfigError(f"{name}={value!r} is none of {', '.join(map(repr, allowed))}")


def require_integer(name: str, value: object, least: int) -> None:
    """Refuses what is no integer, or too small.

    Raises:
        ConfigError: it is; a truth value is no integer.
    """
    if type(value) is not int or value < least:
        raise ConfigError(f"{name}={value!r} is not possible; give an integer of at least {least}")


def require_path(name: str, value: object) -> None:
    """Refuses what is neither a path nor None; an empty text, too, which would be the current directory, and one with
    signs that no file name can have.

    Raises:
        ConfigError: it is neither.
    """
    if not isinstance(value, str | Path | None) or value == "" or not _can_be_a_name(str(value)):
        raise ConfigError(
            f"{name}={value!r} is no path; give a directory as text, one whose name reads as a number with ./ before it"
        )


def _can_be_a_name(path: str) -> bool:
    """Whether the system can be asked for it; not for a zero, nor for half a surrogate pair, which JSON can write."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def real_path(path: str | Path) -> Path:
    """The path without links. Unlike Path.resolve, it takes links that lead to themselves; who reads them says so."""
    return Path(os.path.realpath(path))
