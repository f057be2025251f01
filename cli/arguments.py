"""`key=value` on the command line, for components whose arguments only they know."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from hero.errors import ConfigError

DEPTH: Final = 64
"""Lists and objects in one another, at most: what stores and prints them has to follow."""


def parse_env_args(items: Sequence[str]) -> dict[str, Any]:
    """The arguments of an environment.

    Raises:
        ConfigError: as of `parse_arguments`, or an argument that other options set.
    """
    arguments = parse_arguments("--env-arg", items, "level=easy")
    if "split" in arguments:
        raise ConfigError(
            "--env-arg split cannot be given: hero eval and hero play take --split, a run trains on train and "
            "evaluates on validation"
        )
    return arguments


def parse_chat_args(items: Sequence[str]) -> dict[str, Any]:
    """The variables of a chat template.

    Raises:
        ConfigError: as of `parse_arguments`.
    """
    return parse_arguments("--chat-arg", items, "enable_thinking=false")


def parse_arguments(option: str, items: Sequence[str], example: str) -> dict[str, Any]:
    """`key=value` items as arguments; a value is JSON, or else a string.

    Raises:
        ConfigError: an item is not of that form, repeats a key, is nested too deeply or is not a text.
    """
    arguments: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not (equals and name.isidentifier()):
            raise ConfigError(f"{option} {item[:80]!r} is not key=value; an example is {option} {example}")
        if name in arguments:
            raise ConfigError(f"{option} {name} is given twice; give it once")
        arguments[name] = _value(f"{option} {name}", text)
    return arguments


def _value(what: str, text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep(what) from None
    except ValueError:
        value = text
    try:
        _check_text(value, DEPTH)
    except RecursionError:
        raise _too_deep(what) from None
    except UnicodeEncodeError:
        raise ConfigError(f"{what} holds half of a surrogate pair or other bytes that are not a text") from None
    return value


def _too_deep(what: str) -> ConfigError:
    return ConfigError(f"{what} is nested more than {DEPTH} deep; give a flatter value")


def _check_text(value: Any, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if not depth:
            raise RecursionError
        for inner in value if isinstance(value, list) else [*value, *value.values()]:
            _check_text(inner, depth - 1)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value
