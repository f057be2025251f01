"""A directory of arrays that are memory-mapped, with a manifest that tells whether they are whole, and whose."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hero.errors import DataError

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORMAT: Final = 3
"""Goes up when the arrays, or the terms that the analyser makes of a text, change."""
MANIFEST: Final = "manifest.json"
WHOLE: Final = 1 << 24
"""Bytes of a file that is hashed whole."""
WINDOW: Final = 1 << 16
WINDOWS: Final = 16


class Writer:
    """Writes arrays into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._arrays: dict[str, dict[str, Any]] = {}

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Writes one array."""
        self.put_parts(name, [array], array.dtype, array.shape)

    def put_parts(self, name: str, parts: Iterable[Any], dtype: Any, shape: tuple[int, ...]) -> None:
        """Writes one array that comes in parts; one dimension may be -1, for as many as there are."""
        with (self._directory / name).open("wb") as file:
            for part in parts:
                file.write(part)
            size = file.tell() // np.dtype(dtype).itemsize
        known = int(np.prod([extent for extent in shape if extent >= 0]))
        whole = [extent if extent >= 0 else size // known for extent in shape]
        self._arrays[name] = {"dtype": np.dtype(dtype).str, "shape": whole}

    def finish(self, sources: Mapping[str, Any]) -> None:
        """Writes the manifest, which makes the directory whole.

        Args:
            sources: what the arrays were made from, as `fingerprint` tells it.
        """
        for name, array in self._arrays.items():
            array["fingerprint"] = fingerprint(self._directory / name)
        manifest: dict[str, Any] = {"format": FORMAT, "sources": sources, "arrays": self._arrays}
        manifest["hash"] = _hash(manifest)
        (self._directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


@contextmanager
def written(directory: Path) -> Iterator[Writer]:
    """A directory that appears when all of it is written, in place of an older one, and else not at all.

    Raises:
        DataError: it cannot be written.
    """
    partial, old = (directory.with_name(f"{directory.name}.{name}") for name in ("partial", "old"))
    try:
        if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
            raise DataError(f"{directory} is in the way, and no directory; remove it")
        with _alone(directory):
            if old.exists() and not directory.exists():  # a process died between the renamings below
                old.rename(directory)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                yield Writer(partial)
                shutil.rmtree(old, ignore_errors=True)
                if directory.exists():
                    directory.rename(old)
                partial.rename(directory)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise DataError(f"{directory} cannot be written: {error}") from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keeps other processes from writing the directory meanwhile.

    Windows cannot lock a directory; there the renamings fail where another process has a file open.
    """
    if fcntl is None:
        yield
        return
    parent = os.open(directory.parent, os.O_RDONLY)
    try:
        fcntl.flock(parent, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError(f"another process is writing {directory}; wait until it ends") from None
    finally:
        os.close(parent)


def read(directory: Path, sources: Mapping[str, Path], remedy: str) -> dict[str, NDArray[Any]]:
    """The arrays of a directory by name, read-only.

    Args:
        sources: the files that they must have been made from.
        remedy: what to do about arrays that are none of these files' or damaged.

    Raises:
        DataError: they are of other files, of another format or damaged; the message names the file.
    """
    while True:
        before = _identity(directory)
        try:
            return _read(directory, sources, remedy)
        except DataError:
            if _identity(directory) == before:  # else another process has put a new directory in its place meanwhile
                raise


def _identity(directory: Path) -> tuple[int, int] | None:
    """What tells a directory from one that takes its place; None while there is none."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _read(directory: Path, sources: Mapping[str, Path], remedy: str) -> dict[str, NDArray[Any]]:
    with complete(directory, remedy):
        file = directory / MANIFEST
        if file.exists() and not file.is_file():  # a pipe, say, which would be waited for
            raise ValueError(f"{MANIFEST} is not a file")
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(f"{directory} is of format {manifest['format']!r}, and {FORMAT} is needed; {remedy}")
        if manifest.pop("hash") != _hash(manifest):
            raise ValueError(f"{MANIFEST} was changed")
        made_from, arrays = manifest["sources"], manifest["arrays"]
        for name, origin in sources.items():
            if made_from[name] != source(origin):
                raise DataError(f"{directory} was not made from {origin} as it is now; {remedy}")
        return {name: _mapped(directory / name, known, remedy) for name, known in arrays.items()}


@contextmanager
def complete(directory: Path, remedy: str) -> Iterator[None]:
    """Within it, whatever goes wrong with the content of a directory is a DataError."""
    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{directory} is damaged ({error!r}); {remedy}") from error


def source(file: Path) -> dict[str, Any]:
    """The fingerprint of a file that arrays are made from.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return fingerprint(file)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error


def fingerprint(file: Path) -> dict[str, Any]:
    """The size of a file and a hash: of all of it, or of windows that are spread over a large one."""
    size = file.stat().st_size
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as content:
        if size <= WHOLE:
            return {"size": size, "hash": hashlib.file_digest(content, lambda: digest).hexdigest()}
        for number in range(WINDOWS):
            content.seek(max(0, size - WINDOW) * number // (WINDOWS - 1))
            digest.update(content.read(WINDOW))
    return {"size": size, "hash": digest.hexdigest()}


def _hash(manifest: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(manifest).encode(), digest_size=16).hexdigest()


def _mapped(file: Path, known: Mapping[str, Any], remedy: str) -> NDArray[Any]:
    if not file.is_file() or known["fingerprint"] != fingerprint(file):
        raise DataError(f"{file} is damaged; {remedy}")
    dtype, shape = np.dtype(known["dtype"]), tuple(known["shape"])
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "r", shape=shape))
