"""Marks and functions that skip tests where this system lacks a feature, with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

NEEDS_POSIX: Final = pytest.mark.skipif(os.name != "posix", reason="needs signals and paths of a POSIX system")
FULL: Final = Path("/dev/full")
NEEDS_FULL: Final = pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")
NEEDS_OPEN_FILES: Final = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="a system without /proc/self/fd"
)


def make_pipe(path: Path) -> None:
    """Makes a named pipe."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("a system without named pipes")
    os.mkfifo(path)


def make_link(path: Path, target: Path | str) -> None:
    """Makes a symbolic link, which need not lead anywhere."""
    if str(target).startswith("/dev/") and not Path(target).exists():
        pytest.skip(f"a system without {target}")
    try:
        path.symlink_to(target)
    except OSError:
        if os.name == "posix":
            raise
        pytest.skip("a user who may not make symbolic links")


def make_endless(path: Path) -> None:
    """Makes a link to a device that never ends."""
    make_link(path, "/dev/zero")
