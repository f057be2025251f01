"""Small JSON files that carry a checksum of themselves, and reading whatever may lie in their place."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from hero.errors import RunError

CHECKSUM: Final = "checksum"
"""The last key of a sealed file: the CRC-32 of the file without it."""
LIMIT: Final = 64 * 2**20
"""A small file has at most that many bytes."""
COPY: Final = "restore it from a copy"


def seal(record: Mapping[str, Any]) -> bytes:
    """Returns the text of a file that holds a record of plain JSON, with the checksum as its last key.

    Raises:
        ValueError: a number is not finite.
    """
    return _text({**record, CHECKSUM: crc32(_text(record))})


def unseal(text: bytes, file: Path) -> dict[str, Any]:
    """Returns the record that `seal` made a file's text of.

    Raises:
        RunError: a single bit differs; the message names the file.
    """
    record = parse(text, str(file))
    record.pop(CHECKSUM, None)
    try:
        intact = seal(record) == text
    except (ValueError, RecursionError):  # which we would not have written
        intact = False
    if not intact:
        raise RunError(f"{file} is damaged (its checksum differs); {COPY}")
    return record


def read_small(file: Path) -> bytes:
    """Returns the contents of a small regular file.

    Raises:
        RunError: it is missing, of another kind or too large, or cannot be read.
    """
    if require_file(file) > LIMIT:
        raise RunError(f"{file} is damaged (it has more than {LIMIT:,} bytes); {COPY}")
    try:
        return file.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}; {COPY}") from error


def require_file(file: Path) -> int:
    """Returns the size of a regular file, without opening it: a pipe or a device would never end.

    Raises:
        RunError: it is missing, or of another kind.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}; {COPY}") from error
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"{file} is damaged (it is not a regular file); {COPY}")
    return status.st_size


def file_checksum(file: Path) -> int:
    """Returns the CRC-32 of a regular file of any size.

    Raises:
        RunError: it is missing, of another kind, or cannot be read.
    """
    require_file(file)
    found = 0
    try:
        with file.open("rb") as opened:
            while part := opened.read(2**20):
                found = crc32(part, found)
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}; {COPY}") from error
    return found


def parse(text: bytes, where: str) -> dict[str, Any]:
    """Returns the JSON object in a text.

    Args:
        where: what the text is, for messages.

    Raises:
        RunError: it holds no JSON object.
    """
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where} is damaged ({error}); {COPY}") from error
    if not isinstance(record, dict):
        raise RunError(f"{where} is damaged (it holds no record but {text[:40]!r}); {COPY}")
    return record


def _text(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
