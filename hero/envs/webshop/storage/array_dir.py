"""A directory of memory-mapped arrays, with a manifest that identifies their source files and detects damage."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hero.envs.webshop.storage.sampled_hash import hash_source, sampled_hash
from hero.errors import DataError

FORMAT: Final = 3
"""Increases when the arrays change, or the terms that the analyzer makes of a text."""
MANIFEST: Final = "manifest.json"


class ArrayWriter:
    """Writes arrays into a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._arrays: dict[str, dict[str, Any]] = {}

    def put(self, name: str, array: NDArray[Any]) -> None:
        """Writes one array."""
        self.put_parts(name, [array], array.dtype, array.shape)

    def put_parts(self, name: str, parts: Iterable[Any], dtype: Any, shape: tuple[int, ...]) -> None:
        """Writes one array that arrives in parts; one dimension may be -1, which stands for the rest."""
        with (self._directory / name).open("wb") as file:
            for part in parts:
                file.write(part)
            size = file.tell() // np.dtype(dtype).itemsize
        stated_size = int(np.prod([extent for extent in shape if extent >= 0]))
        full_shape = [extent if extent >= 0 else size // stated_size for extent in shape]
        self._arrays[name] = {"dtype": np.dtype(dtype).str, "shape": full_shape}

    def finish(self, sources: Mapping[str, Any]) -> None:
        """Writes the manifest, which completes the directory.

        Args:
            sources: the hash of each file that the arrays were made from.
        """
        for name, array in self._arrays.items():
            array["fingerprint"] = sampled_hash(self._directory / name)
        manifest: dict[str, Any] = {"format": FORMAT, "sources": sources, "arrays": self._arrays}
        manifest["hash"] = _hash(manifest)
        (self._directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


@contextmanager
def replace_directory(directory: Path) -> Iterator[ArrayWriter]:
    """Yields a writer, whose files replace the directory when the block ends, and are dropped if the block fails.

    Raises:
        DataError: the directory cannot be written, or another process is writing it.
    """
    from filelock import FileLock, Timeout  # only writers need it

    partial, old = (directory.with_name(f"{directory.name}.{suffix}") for suffix in ("partial", "old"))
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise DataError(f"{directory} is in the way, and is not a directory; remove it")
    try:
        with FileLock(directory.with_name(f".{directory.name}.lock")).acquire(blocking=False):
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
            shutil.rmtree(old, ignore_errors=True)
            partial.mkdir()
            try:
                yield ArrayWriter(partial)
                if directory.exists():
                    directory.rename(old)
                partial.rename(directory)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
    except Timeout:
        raise DataError(f"another process is writing {directory}; wait until it ends") from None
    except OSError as error:
        raise DataError(f"{directory} cannot be written: {error}") from error


def open_arrays(directory: Path, sources: Mapping[str, Path], remedy: str) -> dict[str, NDArray[Any]]:
    """Maps the arrays of a directory into memory, read-only, and returns them by name.

    A directory that another process replaces meanwhile is refused, since its files do not match the manifest.

    Args:
        sources: the files that the arrays must have been made from.
        remedy: the end of the message about arrays that are damaged or were made from other files.

    Raises:
        DataError: the arrays were made from other files, have another format or are damaged; the message names the
            file.
    """
    with reporting_damage(directory, remedy):
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise DataError(f"{directory} is of format {manifest['format']!r}, and {FORMAT} is needed; {remedy}")
        if manifest.pop("hash") != _hash(manifest):
            raise ValueError(f"{MANIFEST} was changed")
        recorded, arrays = manifest["sources"], manifest["arrays"]
        for name, file in sources.items():
            if recorded[name] != hash_source(file):
                raise DataError(f"{directory} was not made from {file} as it is now; {remedy}")
        return {name: _map(directory / name, entry, remedy) for name, entry in arrays.items()}


@contextmanager
def reporting_damage(directory: Path, remedy: str) -> Iterator[None]:
    """Turns any error that the contents of a directory cause in the block into a DataError."""
    try:
        yield
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{directory} is damaged ({error!r}); {remedy}") from error


def _hash(manifest: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(manifest).encode(), digest_size=16).hexdigest()


def _map(file: Path, entry: Mapping[str, Any], remedy: str) -> NDArray[Any]:
    if entry["fingerprint"] != sampled_hash(file):
        raise DataError(f"{file} is damaged, or was just replaced; {remedy}")
    dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "r", shape=shape))
