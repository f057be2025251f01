"""Readers of files and JSON from outside; their results are within bounds that all later code may trust."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

from hero.errors import DataError

MAX_DIGITS: Final = 1000
"""Maximum number of digits of an integer. Tools multiply and sum, and Python writes no integer of more than 4300."""
MAX_DEPTH: Final = 100
"""Maximum nesting of lists and dicts in the arguments of a call; tools need 3."""


class BoundError(ValueError):
    """Well-formed JSON holds a number that cannot be computed with."""


def loads(text: str) -> Any:
    """Parses JSON whose numbers are finite, and whose integers have at most `MAX_DIGITS` digits.

    Raises:
        BoundError: a number is out of these bounds.
        ValueError: the text is not JSON.
        RecursionError: its lists or objects are nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_int=_integer, parse_float=_finite)


def is_deeper(value: Any, depth: int) -> bool:
    """Returns whether lists and dicts are nested more than `depth` levels deep in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (depth == 0 or any(is_deeper(item, depth - 1) for item in inner))


def read_text(path: Path) -> str:
    """Reads a text file, without the byte order mark that some editors put before the text.

    Raises:
        DataError: the file cannot be read; the message names it.
    """
    if not path.is_file():  # reading from a device or a pipe may never end
        raise DataError(f"{path} cannot be read: it is missing or not a regular file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: the file cannot be read, is not JSON, or holds numbers out of bounds; the message names it.
    """
    content = read_text(path)
    try:
        return loads(content)
    except BoundError as error:
        raise DataError(f"{path}: {error}; fetch it again") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; fetch it again") from error


def _refuse(number: str) -> Any:
    raise BoundError(f"the number {number:.20} is out of range")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise BoundError(f"a number of {len(digits)} digits is out of range")
    return int(digits)


def _finite(digits: str) -> float:
    return number if math.isfinite(number := float(digits)) else _refuse(digits)
