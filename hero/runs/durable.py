"""Writing files so that they survive a sudden death, on every system."""

from __future__ import annotations

import errno
import os
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
"""The name of whatever is not complete yet, or not removed in full yet; who finds it removes it."""
LOCK: Final = ".lock"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals to write below a path into our error.

    Raises:
        RunError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        # A trainer's own writer may know no number.
        full = error.errno in (None, errno.ENOSPC, errno.EDQUOT)
        remedy = "make room, or choose another --out" if full else "choose another --out"
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
    held = FileLock(file, thread_local=False)
    try:
        held.acquire(blocking=False)
    except Timeout:
        raise RunError(f"another process is writing {path}; wait until it ends, or choose another --out") from None
    return held


def write(file: Path, text: bytes) -> None:
    """Writes a file that is either there in full or not at all."""
    partial = file.with_name(PARTIAL)
    with partial.open("wb") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)
    sync(file.parent)


def append(file: Path, text: bytes) -> None:
    """Appends to a file; what was appended is on the disk when this returns."""
    with file.open("ab") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())


def sync(path: Path) -> None:
    """Brings a file or a directory to the disk; a directory only where the system can, which Windows cannot."""
    folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    except PermissionError:
        if folder:
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(folder: Path) -> None:
    """Removes a directory: for all others it is gone at once, and a sudden death leaves no half under its name."""
    partial = folder.with_name(PARTIAL)
    remove_partial(folder.parent)
    folder.rename(partial)
    remove_partial(folder.parent)


def remove_partial(folder: Path) -> None:
    """Removes what is not complete in a directory; nothing where there is nothing."""
    partial = folder / PARTIAL
    if partial.is_dir() and not partial.is_symlink():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def cut(file: Path, rows: int, checksum: int | None) -> None:
    """Keeps the first `rows` lines of a file and drops the rest, a torn last line included.

    Args:
        checksum: CRC-32 of those lines; None to take them as they are.

    Raises:
        RunError: there are fewer lines, or others.
    """
    if os.path.lexists(file):
        require_file(file)
    with file.open("a+b") as opened:
        opened.seek(0)
        whole = found = 0
        for _ in range(rows):
            line = opened.readline()
            whole += line.endswith(b"\n")
            found = crc32(line, found)
        remedy = "restore it from a copy, or start another run with another --out"
        if whole < rows:
            raise RunError(f"{file} holds {whole} of the {rows} records that belong to complete steps; {remedy}")
        if checksum is not None and found != checksum:
            raise RunError(f"{file} was changed after it was written: its checksum differs; {remedy}")
        opened.truncate(opened.tell())
        os.fsync(opened.fileno())
