"""The runs of a comparison: where each is, and with which arguments it starts or goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hero.comparison.runs import is_finished
from hero.errors import ConfigError
from hero.runs.reader import MEMORY_SETTINGS, is_run_dir, progress, read_rows

from .logs import LogKind
from .options import as_options
from .resolve import extension, stored_settings
from .settings import BROUGHT_BY_MODEL, Settings, option


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRun:
    """One run of a comparison, equal to itself alone.

    Attributes:
        cell: name of the cell.
        arguments: those of `hero run` with which it starts or goes on; empty if it is finished.
        settings: its settings.
    """

    cell: str
    seed: int
    path: Path
    arguments: tuple[str, ...]
    settings: Settings

    @property
    def name(self) -> str:
        """Its name in a line of text."""
        return f"{self.cell}, seed {self.seed}"


def plan_runs(
    cells: Mapping[str, tuple[Mapping[str, Any], Settings]],
    out: Path,
    seeds: Sequence[int],
    jobs: int,
    log: LogKind = "none",
) -> list[PlannedRun]:
    """Returns all runs, seed by seed, so that whatever is finished early is balanced.

    Args:
        log: what each run that is not finished writes besides.

    Raises:
        ConfigError: a run in `out` was started with other settings.
        RunError: a run in `out` cannot be read.
    """
    runs = []
    for seed in seeds:
        for name, (given, settings) in cells.items():
            threads = given.get("threads", max(1, settings.threads // jobs))
            path = out / f"{cell_folder(name)}-seed{seed}"
            own = replace(settings, seed=seed, threads=threads)
            arguments = _arguments(path, {**given, "seed": seed, "threads": threads}, own)
            if arguments and log != "none":
                arguments.append(f"--log={log}")
            runs.append(PlannedRun(name, seed, path, tuple(arguments), own))
    return runs


def cell_folder(name: str) -> str:
    """Returns the part of a directory's name that stands for a cell: letters, digits, dots and dashes."""
    signed = re.sub(r"(?<=[ =\[,])-(?=[\d.]|inf)", "minus", name.lower())  # a sweep may have x and -x
    return re.sub(r"[^a-z0-9.]+", "-", signed).strip("-.") or "cell"


def _arguments(path: Path, given: Mapping[str, Any], settings: Settings) -> list[str]:
    """Returns the arguments of `hero run` with which a run starts or goes on; none if it is finished.

    Raises:
        ConfigError: the run was started with other settings, but for threads, memory and a smaller limit.
        RunError: the run cannot be read.
    """
    if not is_run_dir(path):
        return [*as_options(given), f"--out={path}"]
    stored = stored_settings(path)
    try:
        more = extension(stored, {name: getattr(settings, name) for name in ("steps", "turn_budget")})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    asked, there = settings.record(), replace(stored, **more).record() | {"threads": settings.threads}
    there |= {name: asked[name] for name in MEMORY_SETTINGS}  # a run may have gone on with less
    asked |= {name: there[name] for name in BROUGHT_BY_MODEL if asked[name] is None}
    if names := [name for name in asked if asked[name] != there[name]]:
        differences = ", ".join(
            f"{option(name)} {json.dumps(there[name])}, not {json.dumps(asked[name])}" for name in names
        )
        raise ConfigError(f"{path} was started with {differences}; choose another --out, or another name for the cell")
    if is_finished(path) and not (more and _goes_on(path, replace(stored, **more))):
        return []
    return ["--resume", f"--out={path}", *as_options(more)]


def _goes_on(path: Path, settings: Settings) -> bool:
    """Returns whether a finished run has steps left with larger limits.

    It has none if it stopped by itself, or if its last step went over the larger budget, too.
    """
    from hero.metrics import why_stopped

    if why_stopped(read_rows(path, "evals")):
        return False
    return not settings.plan().is_done(*progress(read_rows(path, "steps")))
