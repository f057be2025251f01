"""Options of components on the command line, as key=value: only the component knows them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError

from .settings import FIELDS, option

DEPTH: Final = 64
"""Maximum nesting of lists and objects, since the code that stores and prints them is recursive."""


def read_arguments(name: str, items: Sequence[str]) -> dict[str, Any]:
    """Returns the options of a component; a value is JSON, or else a string, that of a file where it is @FILE.

    Args:
        name: name of the setting that holds them, such as `env_args`.

    Raises:
        ConfigError: an item is not of the form key=value, repeats a key, is nested too deeply, holds bytes that are not
            a text, or is set by another option; or a file cannot be read.
    """
    arguments: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        part, _, own_name = key.rpartition(".")
        if not (equals and own_name.isidentifier() and (not part or name == "learner_args")):
            example = FIELDS[name].metadata["example"]
            raise ConfigError(f"{option(name)} {item[:80]!r} is not key=value; an example is {option(name)} {example}")
        if key in arguments:
            raise ConfigError(f"{option(name)} {key} is given twice; give it once")
        if (name, key) == ("env_args", "split"):
            raise ConfigError(
                "--env-arg split cannot be given: hero eval and hero play take --split, a run trains on train and "
                "evaluates on validation"
            )
        owner = f"{option(name)} {key}"
        arguments[key] = _text_of(owner, Path(text[1:])) if text.startswith("@") else _value(owner, text)
    return arguments


def _text_of(owner: str, path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
        raise ConfigError(
            f'{owner}: cannot read {path}: {why}; @FILE stands for the text of a file, write "@..." as JSON for a '
            "value that begins so"
        ) from error


def _value(owner: str, text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep(owner) from None
    except ValueError:
        value = text
    try:
        _check_text(value, DEPTH)
    except RecursionError:
        raise _too_deep(owner) from None
    except UnicodeEncodeError:
        raise ConfigError(f"{owner} holds half of a surrogate pair or other bytes that are not a text") from None
    return value


def _too_deep(owner: str) -> ConfigError:
    return ConfigError(f"{owner} is nested more than {DEPTH} deep; give a flatter value")


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
