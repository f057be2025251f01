"""Size and hash of a file, of which only samples are read where it is large."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from hero.errors import DataError

WHOLE: Final = 1 << 24
"""Maximum number of bytes of a file that is hashed in full."""
WINDOW: Final = 1 << 16
"""Number of bytes of each sample."""
WINDOWS: Final = 16


def sampled_hash(file: Path) -> dict[str, Any]:
    """Returns the size of a file and a hash: of all of it, or of windows that are spread evenly over a large one."""
    size = file.stat().st_size
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as content:
        if size <= WHOLE:
            return {"size": size, "hash": hashlib.file_digest(content, lambda: digest).hexdigest()}
        for index in range(WINDOWS):
            content.seek(max(0, size - WINDOW) * index // (WINDOWS - 1))
            digest.update(content.read(WINDOW))
    return {"size": size, "hash": digest.hexdigest()}


def hash_source(file: Path) -> dict[str, Any]:
    """Returns the sampled hash of a file from outside.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sampled_hash(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
