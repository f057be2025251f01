"""Read settings of a run from a TOML file."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError

from .resolve import check_types
from .settings import FIELDS, option

OTHERS: Final = ("out", "config", "resume", "same_start_as", "log")
"""Options of `hero run` that are not settings, and stand on the command line alone."""


def read_config_file(file: Path) -> dict[str, Any]:
    """Returns the settings in a file, whose keys are names of settings, with dashes or without.

    Options of components are tables, as in `env_args = {level = "hard"}`.

    Raises:
        ConfigError: the file cannot be read, a key is not a setting, is given twice, or has a value of another type.
    """
    try:
        record = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # among them TOMLDecodeError and UnicodeDecodeError
        raise ConfigError(f"{file} is not TOML: {error}") from error
    settings: dict[str, Any] = {}
    for key, value in record.items():
        name = key.replace("-", "_")
        if name in OTHERS:
            raise ConfigError(f"{file}: {key!r} is not a setting; give {option(name)} on the command line")
        if name not in FIELDS:
            close = get_close_matches(name, FIELDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "hero run --help lists them"
            raise ConfigError(f"{file}: {key!r} is not a setting; {hint}")
        if name in settings:
            raise ConfigError(f"{file} has {name!r} twice; keep one")
        settings[name] = value
    try:
        check_types(settings)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    return settings
