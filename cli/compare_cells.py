"""The cells of a comparison, from what a user gave, and the runs that they need."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hero import registry
from hero.comparison.runs import is_finished
from hero.errors import ConfigError
from hero.runs.reader import is_run_dir

from .build import check_components
from .learner import read_learner
from .options import UsageError, as_options, read_options
from .out_of_memory import MEMORY_SETTINGS
from .resolve import IdleSettingError, extension, settings_of, stored_settings
from .settings import BROUGHT_BY_MODEL, Settings, option

EXAMPLE: Final = '--cell "no advice: --teacher-arg advice=false"'
FOR_ALL: Final = ("env", "env_args", "model", "chat_args", "eval_tasks")
"""Settings that no cell may have for itself: all start with one model, and are evaluated on the same tasks."""
COMPONENTS: Final = {"learner_args": "", "reflector_args": "student", "teacher_args": ""}
"""Settings that hold options of a component, each of which counts by itself, and the parameter that a run gives it."""


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


def read_cells(
    given: Mapping[str, Any], learners: Iterable[str], cells: Iterable[str]
) -> dict[str, tuple[dict[str, Any], Settings]]:
    """Returns the settings that count in each cell as given, and all of its settings, by its name.

    Args:
        given: settings for all cells that have a use for them.
        learners: each makes a cell of its name.
        cells: each is a name, a colon, and options of `hero run`, which take precedence.

    Raises:
        ConfigError: a cell or its settings are not possible, or no cell has a use for a setting.
    """
    if "seed" in given:
        raise ConfigError(f"--seed {given['seed']} is not for a comparison; give --seeds and --first-seed")
    own = [(name, {"learner": name}) for name in learners] + [_read_cell(text) for text in cells]
    made: dict[str, tuple[dict[str, Any], Settings]] = {}
    idle = {name: f"{option(name)} is given in every cell; leave it out" for name in given}
    for name, settings in own:
        if _folder(name) in map(_folder, made):
            raise ConfigError(f"two cells would be in {_folder(name)}-seedN; give {name!r} another name")
        try:
            shared, reasons = _useful(given, settings)
            made[name] = (counting := _merged(shared, settings)), settings_of(counting)
            check_components(made[name][1])
        except ConfigError as error:
            raise ConfigError(f"cell {name!r}: {error}") from error
        idle = {each: reasons.get(each, reason) for each, reason in idle.items() if each not in shared}
    if idle:
        raise ConfigError(f"no cell has a use for {' and '.join(map(option, idle))}: {next(iter(idle.values()))}")
    return made


def plan_runs(
    cells: Mapping[str, tuple[Mapping[str, Any], Settings]], out: Path, seeds: Sequence[int], jobs: int
) -> list[PlannedRun]:
    """Returns all runs, seed by seed, so that whatever is finished early is balanced.

    Raises:
        ConfigError: a run in `out` was started with other settings.
        RunError: a run in `out` cannot be read.
    """
    runs = []
    for seed in seeds:
        for name, (given, settings) in cells.items():
            threads = given.get("threads", max(1, settings.threads // jobs))
            path = out / f"{_folder(name)}-seed{seed}"
            own = replace(settings, seed=seed, threads=threads)
            arguments = _arguments(path, {**given, "seed": seed, "threads": threads}, own)
            runs.append(PlannedRun(name, seed, path, tuple(arguments), own))
    return runs


def _read_cell(text: str) -> tuple[str, dict[str, Any]]:
    """Returns name and settings of a cell.

    Raises:
        ConfigError: the text is not that of a cell.
    """
    name, colon, options = (part.strip() for part in text.partition(":"))
    if not (name and colon):
        raise ConfigError(f"--cell {text[:80]!r} is not a name, a colon and options; an example is {EXAMPLE}")
    try:
        settings = read_options(shlex.split(options))
    except (UsageError, ValueError) as error:
        why = error.format_message() if isinstance(error, UsageError) else str(error)
        raise ConfigError(f"--cell {name!r}: {why}; give options of hero run, as in {EXAMPLE}") from error
    if own := [each for each in ("seed", *FOR_ALL) if each in settings]:
        raise ConfigError(f"--cell {name!r}: {option(own[0])} is the same for all cells; give it outside of --cell")
    return name, settings


def _useful(given: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns those settings for all cells that a cell has a use for, and the reason against each other one.

    Raises:
        ConfigError: the settings of the cell itself are not possible, or would do nothing.
    """
    shared = {name: value for name, value in given.items() if name not in own or name in COMPONENTS}
    reasons: dict[str, str] = {}
    while True:
        try:
            settings = settings_of(_merged(shared, own))
        except IdleSettingError as error:
            if error.setting not in shared:
                raise
            reasons[error.setting] = str(error)
            del shared[error.setting]
        else:
            break
    for name in COMPONENTS.keys() & shared.keys():
        if why := _refusal(settings, name):
            reasons[name] = why
            del shared[name]
    return shared, reasons


def _refusal(settings: Settings, name: str) -> str:
    """Returns why the component of some settings does not take its options; "" if it does."""
    component, options = getattr(settings, name.removesuffix("_args")), getattr(settings, name)
    if component is None:
        return f"{option(name)} does nothing with --learner {settings.learner}; leave it out"
    try:
        if name == "learner_args":
            read_learner(component).check(options)  # it may be a sum
        else:
            registry.check(f"hero.{name.removesuffix('_args')}s", component, options, later=[COMPONENTS[name]])
    except ConfigError as error:
        return str(error)
    return ""


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of both; of the options of a component each counts by itself."""
    args = {name: shared[name] | own[name] for name in COMPONENTS if name in shared and name in own}
    return {**shared, **own, **args}


def _folder(name: str) -> str:
    """Returns the part of a directory's name that stands for a cell: letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "cell"


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
    return [] if is_finished(path) and not more else ["--resume", f"--out={path}", *as_options(more)]
