"""Hash files, so that a run can tell whether it resumes with the files that it started with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from hero.errors import DataError


def fingerprint(*paths: Path) -> str:
    """Returns the SHA-256, in hexadecimal digits, of the names and contents of files, in the order given.

    A directory adds all files below it, sorted, under their names relative to it; a file adds itself under its own
    name. A copy elsewhere thus has the same fingerprint. Hidden files and folders of a directory, which systems and
    tools leave behind, are skipped.

    Raises:
        DataError: a path cannot be read, or is neither a file nor a directory.
    """
    total = hashlib.sha256()
    for path in paths:
        # Each path adds `digest name` entries and then an empty one, so that no two lists of files hash the same bytes.
        for name, file in _files(path, path.name if path.is_file() else ""):
            total.update(_digest(file) + os.fsencode(name) + b"\0")
        total.update(b"\0")
    return total.hexdigest()


def _files(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yields the files at or below a path, each after the name that it is hashed under."""
    try:
        children = sorted(path.iterdir(), key=lambda child: child.name) if path.is_dir() else None
    except OSError as error:
        raise _unreadable(path, error) from error
    if children is None:
        yield name, path
        return
    for child in children:
        if not child.name.startswith("."):
            yield from _files(child, f"{name}/{child.name}" if name else child.name)


def _digest(file: Path) -> bytes:
    try:
        if file.exists() and not file.is_file():
            raise DataError(f"cannot read {file}: it is neither a file nor a directory")
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror or error}")
