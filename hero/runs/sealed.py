"""Read and write small JSON files that end with a checksum of themselves."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from hero.errors import RunError

CHECKSUM: Final = "checksum"
"""Last key of a sealed file; its value is the CRC-32 of the file without it."""
MAX_BYTES: Final = 64 * 2**20
"""Maximum size of a small file."""
COPY: Final = "restore it from a copy"


def seal(record: Mapping[str, Any]) -> bytes:
    """Returns the contents of a file that holds a record of plain JSON and, as its last key, the checksum.

    Raises:
        ValueError: a number is not finite.
    """
    return _dump({**record, CHECKSUM: crc32(_dump(record))})


def unseal(content: bytes, file: Path) -> dict[str, Any]:
    """Returns the record in the contents of a sealed file.

    Raises:
        RunError: the contents are not as `seal` wrote them; the message names the file.
    """
    record = parse(content, str(file))
    record.pop(CHECKSUM, None)
    try:
        intact = seal(record) == content
    except (ValueError, RecursionError):  # of a record that `seal` cannot have written
        intact = False
    if not intact:
        raise RunError(f"{file} is damaged (its checksum differs); {COPY}")
    return record


def read_small(file: Path) -> bytes:
    """Returns the contents of a small regular file.

    Raises:
        RunError: the file is missing, not regular, too large, or cannot be read.
    """
    if require_file(file) > MAX_BYTES:
        raise RunError(f"{file} is damaged (it has more than {MAX_BYTES:,} bytes); {COPY}")
    try:
        return file.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}; {COPY}") from error


def require_file(file: Path) -> int:
    """Returns the size of a regular file, without opening it: a pipe or a device would never end.

    Raises:
        RunError: the file is missing, or not regular.
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
        RunError: the file is missing, not regular, or cannot be read.
    """
    require_file(file)
    checksum = 0
    try:
        with file.open("rb") as opened:
            while chunk := opened.read(2**20):
                checksum = crc32(chunk, checksum)
    except OSError as error:
        raise RunError(f"cannot read {file}: {error.strerror or error}; {COPY}") from error
    return checksum


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Returns the JSON object that a file or a line consists of.

    Args:
        where: name of the file or the line, for messages.

    Raises:
        RunError: the content is not a JSON object.
    """
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where} is damaged ({error}); {COPY}") from error
    if not isinstance(record, dict):
        raise RunError(f"{where} is damaged (it holds {content[:40]!r}, not a JSON object); {COPY}")
    return record


def _dump(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
