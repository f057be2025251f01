"""Reading files and JSON from outside: in bounds that everything behind may trust, or refused by name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

from hero.errors import DataError

LONGEST: Final = 1000
"""Digits of an integer. Tools multiply and sum, and more than 4300 Python refuses to write, and so to hash."""


class BoundError(ValueError):
    """JSON that is well-formed holds a number that cannot be computed with."""


def loads(text: str) -> Any:
    """Parses JSON whose numbers are finite, and integers of at most `LONGEST` digits.

    Raises:
        BoundError: a number is not.
        ValueError: the text is not JSON.
        RecursionError: its lists or objects lie too deep in one another.
    """
    return json.loads(text, parse_constant=_refused, parse_int=_integer, parse_float=_finite)


def read_text(path: Path) -> str:
    """Reads a text file, without the byte order mark that some editors put before the text.

    Raises:
        DataError: it cannot be read; the message names it.
    """
    if not path.is_file():  # reading from a device or a pipe may never end
        raise DataError(f"{path} cannot be read: it is missing, or is no file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: it cannot be read, is not JSON, or holds numbers out of bounds; the message names it.
    """
    content = read_text(path)
    try:
        return loads(content)
    except BoundError as error:
        raise DataError(f"{path}: {error}; fetch it again") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; fetch it again") from error


def _refused(number: str) -> Any:
    raise BoundError(f"the number {number:.20} is out of range")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST:
        raise BoundError(f"a number of {len(digits)} digits is out of range")
    return int(digits)


def _finite(digits: str) -> float:
    return number if math.isfinite(number := float(digits)) else _refused(digits)
