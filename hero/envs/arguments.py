"""What the constructors of environments make of their arguments, which may come from a command line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hero.errors import ConfigError


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
