"""Write files that survive the sudden death of the process, on every operating system."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

from filelock import FileLock, Timeout

from hero.errors import RunError
from hero.runs.sealed import require_file

PARTIAL: Final = ".partial"
"""Name of a directory that is not yet complete, or not yet removed in full, and end of that of such a file.

The next writer of a run removes what a sudden death left.
"""
_PARTIAL_FILE: Final = re.compile(rf"\..+-\d+{re.escape(PARTIAL)}", re.DOTALL)
LOCK: Final = ".lock"


@contextmanager
def translate_write_errors(path: Path) -> Iterator[None]:
    """Raises a RunError in place of an OSError of the block, which writes below a path."""
    try:
        yield
    except OSError as error:
        # safetensors and torch report a full disk without a number.
        disk_full = error.errno in (None, errno.ENOSPC, errno.EDQUOT)
        remedy = "make room, or choose another --out" if disk_full else "choose another --out"
        raise RunError(f"cannot write {error.filename or path}: {error.strerror or error}; {remedy}") from error


def lock(path: Path) -> FileLock:
    """Keeps other processes out of a directory until the lock is released, or this process ends.

    Raises:
        RunError: another process holds the lock.
        OSError: the directory cannot be written.
    """
    file = path / LOCK
    if os.path.lexists(file):
        require_file(file)
    file_lock = FileLock(file, thread_local=False)
    try:
        file_lock.acquire(blocking=False)
    except Timeout:
        raise RunError(f"another process is writing {path}; wait until it ends, or choose another --out") from None
    return file_lock


def write(file: Path, content: bytes) -> None:
    """Writes a file in full or not at all, whatever else is being written beside it."""
    partial = file.with_name(f".{file.name}-{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(file.parent)


def append(file: Path, content: bytes) -> None:
    """Appends to a file, and returns once the content is on the disk."""
    with file.open("ab") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def sync(path: Path) -> None:
    """Brings a file or a directory to the disk; does nothing for a directory where the system cannot (Windows)."""
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Removes a directory; its name goes first, so that a sudden death leaves no half of it under that name."""
    partial = folder.with_name(PARTIAL)
    remove_partial(folder.parent)
    folder.rename(partial)
    remove_partial(folder.parent)


def remove_partial(folder: Path) -> None:
    """Removes the partial files and directories in a folder."""
    for partial in partials(folder):
        if partial.is_dir() and not partial.is_symlink():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)


def partials(folder: Path) -> list[Path]:
    """Returns the partial files and directories in a folder; empty where there is no folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return [entry for entry in entries if entry.name == PARTIAL or _PARTIAL_FILE.fullmatch(entry.name)]


def truncate(file: Path, rows: int, checksum: int | None) -> None:
    """Truncates a file to its first `rows` lines.

    Args:
        checksum: expected CRC-32 of those lines; None to skip the check.

    Raises:
        RunError: there are fewer lines, or their checksum differs.
    """
    if rows or os.path.lexists(file):
        require_file(file)
    with file.open("a+b") as opened:
        opened.seek(0)
        complete = actual = 0
        for _ in range(rows):
            line = opened.readline()
            complete += line.endswith(b"\n")
            actual = crc32(line, actual)
        remedy = "restore it from a copy, or start another run with another --out"
        if complete < rows:
            raise RunError(f"{file} holds {complete} of the {rows} records that belong to complete steps; {remedy}")
        if checksum is not None and actual != checksum:
            raise RunError(f"{file} was changed after it was written: its checksum differs; {remedy}")
        opened.truncate(opened.tell())
        os.fsync(opened.fileno())
