"""Checks of what environments return and of what their constructors are given."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from hero.errors import ConfigError


def read_start(answer: Any) -> tuple[str, str]:
    """Returns the observation and the task id of what `reset` returned.

    Raises:
        TypeError: it is of another shape; the message names the value.
    """
    observation, info = unpack_reset(answer)
    if not isinstance(task_id := info.get("task_id"), str):
        raise TypeError(f"the info of reset must have task_id, a str, not {brief(task_id)}")
    return observation, task_id


def read_step(answer: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """Checks what `step` returned; `metrics` of its info become a dict of float.

    Raises:
        TypeError: it is of another shape; the message names the value.
        ValueError: the reward or a metric is not a finite number.
    """
    observation, reward, terminated, truncated, info = unpack_step(answer)
    if not _is_finite(reward):
        raise ValueError(f"the reward of step must be a finite number, not {brief(reward)}")
    if not isinstance(feedback := info.get("feedback", ""), str):
        raise TypeError(f"the feedback in the info of step must be a str, not {brief(feedback)}")
    for key in ("success", "action_valid", "tool_call"):
        if type(value := info.get(key, False)) is not bool:
            raise TypeError(f"{key} in the info of step must be a bool, not {brief(value)}")
    if "metrics" in info:
        info = info | {"metrics": read_metrics(info["metrics"])}
    return observation, float(reward), bool(terminated), bool(truncated), info


def unpack_reset(answer: Any) -> tuple[str, dict[str, Any]]:
    """Returns the two values that gymnasium asks of `reset`, a str and a dict.

    Raises:
        TypeError: it returned others, as in the older gym; the message names the value.
    """
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise TypeError(f"reset must return (observation, info), not {brief(answer)}")
    _require_shape("reset", *answer)
    return answer


def unpack_step(answer: Any) -> tuple[str, Any, Any, Any, dict[str, Any]]:
    """Returns the five values that gymnasium asks of `step`, the first a str and the last a dict.

    Raises:
        TypeError: it returned others, as in the older gym; the message names the value.
    """
    if not (isinstance(answer, tuple) and len(answer) == 5):
        raise TypeError(f"step must return (observation, reward, terminated, truncated, info), not {brief(answer)}")
    _require_shape("step", answer[0], answer[4])
    return answer


def read_metrics(metrics: Any) -> dict[str, float]:
    """Checks the metrics of an episode.

    Raises:
        TypeError: they are not a mapping of names to values.
        ValueError: a value is not a finite number; the message names it.
    """
    if not (isinstance(metrics, Mapping) and all(isinstance(name, str) for name in metrics)):
        raise TypeError(f"the metrics in the info of step must be a dict of str to numbers, not {brief(metrics)}")
    for name, value in metrics.items():
        if not _is_finite(value):
            raise ValueError(f"the metric {name!r} must be a finite number, not {brief(value)}")
    return {name: float(value) for name, value in metrics.items()}


def read_baseline(answer: Any) -> float | None:
    """Checks what `noop_reward` returned.

    Raises:
        ValueError: it is neither a finite number nor None.
    """
    if answer is None:
        return None
    if not _is_finite(answer):
        raise ValueError(f"noop_reward must give a finite number or None, not {brief(answer)}")
    return float(answer)


def read_provenance(answer: Any) -> dict[str, Any]:
    """Checks what `provenance` returned.

    Raises:
        TypeError: it is not a dict of plain JSON, or its `arguments` are not a dict.
    """
    try:
        plain = json.loads(json.dumps(answer, allow_nan=False)) == answer
    except (TypeError, ValueError, RecursionError):
        plain = False
    if not (plain and isinstance(answer, dict) and isinstance(answer.get("arguments", {}), dict)):
        raise TypeError(
            f"provenance must return a dict of plain JSON, its `arguments` a dict, too, not {brief(answer)}"
        )
    return answer


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
    """Returns a value for an error message, at most 63 characters of it; its type where it has no `repr`."""
    try:
        return shortened(repr(value))
    except Exception:  # nested too deep, a number of too many digits, or a class whose repr fails
        return f"a {type(value).__name__} that cannot be shown"


def shortened(text: str) -> str:
    """Returns at most 63 characters of a text."""
    return text if len(text) <= 60 else f"{text[:60]}..."


def require_one_of(name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuses a value that is not allowed.

    Raises:
        ConfigError: the value is not allowed; the message names those that are.
    """
    allowed = list(allowed)  # what cannot be hashed is refused, too
    if value not in allowed:
        raise ConfigError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")


def require_integer(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuses a value that is not an `int`, too small or too large; a `bool` is not an integer.

    Raises:
        ConfigError: the value is refused.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        above = "" if most is None else f" and at most {most}"
        raise ConfigError(f"{name}={value!r} is not possible; give an integer of at least {least}{above}")


def require_path(name: str, value: object) -> None:
    """Refuses a value that is neither a path nor None.

    An empty string, which would be the current directory, and characters that no file name can have are refused, too.

    Raises:
        ConfigError: the value is refused.
    """
    if not isinstance(value, str | Path | None) or value == "" or not _can_be_a_name(str(value)):
        raise ConfigError(f"{name}={value!r} is not a path; give a directory as a str, ./5 for one that is named 5")


def _can_be_a_name(path: str) -> bool:
    """Returns whether a file can have that name: a zero byte or half a surrogate pair, which JSON can write, cannot."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def real_path(path: str | Path) -> Path:
    """Returns the path without links; unlike Path.resolve it accepts links to themselves, whose reader then fails."""
    return Path(os.path.realpath(path))
