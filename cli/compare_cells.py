"""The cells of a comparison, from what a user gave, and the runs that they need."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from hero import registry
from hero.comparison.runs import is_finished
from hero.errors import ConfigError
from hero.runs.reader import is_run_dir

from .build import check_components
from .learner import read_learner
from .logs import LogKind
from .options import UsageError, as_options, read_options
from .out_of_memory import MEMORY_SETTINGS
from .resolve import IdleSettingError, extension, settings_of, stored_settings
from .settings import BROUGHT_BY_MODEL, Settings, option

EXAMPLE: Final = '--cell "no advice: --teacher-arg advice=false"'
SWEEP_EXAMPLE: Final = "--sweep learning-rate=1e-4,2e-4"
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


class SweptValue(NamedTuple):
    """One value of a sweep: a setting, the value as it was written, and what it means."""

    setting: str
    text: str
    value: Any

    def counts(self, shared: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
        """Returns whether a cell has a use for it.

        Args:
            shared: settings for all cells that the cell has a use for.
            own: settings of the cell itself, which take precedence.
        """
        overridden = self.setting in COMPONENTS and not self.value.keys().isdisjoint(own.get(self.setting, {}))
        return self.setting in shared and not overridden


def read_cells(
    given: Mapping[str, Any], learners: Iterable[str], cells: Iterable[str], sweeps: Iterable[str] = ()
) -> dict[str, tuple[dict[str, Any], Settings]]:
    """Returns the settings that count in each cell as given, and all of its settings, by its name.

    Args:
        given: settings for all cells that have a use for them.
        learners: each makes a cell of its name.
        cells: each is a name, a colon, and options of `hero run`, which take precedence.
        sweeps: each is an option of `hero run`, an equals sign, and values; cells that have a use for it are there once
            for each combination of values, which end their names. Without learners and cells, the learner is the cell.

    Raises:
        ConfigError: a cell, a sweep or its settings are not possible, or no cell has a use for a setting.
    """
    if "seed" in given:
        raise ConfigError(f"--seed {given['seed']} is not for a comparison; give --seeds and --first-seed")
    own = [(name, {"learner": name}) for name in learners] + [_read_cell(text) for text in cells]
    variants = _variants(given, [_read_sweep(text) for text in sweeps])
    if not own:
        own = [(given.get("learner", Settings().learner), {})]
    made: dict[str, tuple[dict[str, Any], Settings]] = {}
    idle = {name: f"{option(name)} is given in every cell; leave it out" for _, values in variants for name in values}
    for cell, settings in own:
        for swept, values in variants:
            try:
                shared, reasons = _useful(values, settings)
                counting = _merged(shared, settings)
                both = counting, settings_of(counting)
                check_components(both[1])
            except ConfigError as error:
                raise ConfigError(f"cell {cell!r}: {error}") from error
            idle = {each: reasons.get(each, reason) for each, reason in idle.items() if each not in shared}
            useful = [value.text for value in swept if value.counts(shared, settings)]
            name = " ".join([cell, *useful])
            if len(useful) < len(swept) and made.get(name) == both:
                continue  # this cell has no use for what is swept
            if _folder(name) in map(_folder, made):
                raise ConfigError(f"two cells would be in {_folder(name)}-seedN; give {name!r} another name")
            made[name] = both
    if idle:
        raise ConfigError(f"no cell has a use for {' and '.join(map(option, idle))}: {next(iter(idle.values()))}")
    return made


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
            path = out / f"{_folder(name)}-seed{seed}"
            own = replace(settings, seed=seed, threads=threads)
            arguments = _arguments(path, {**given, "seed": seed, "threads": threads}, own)
            if arguments and log != "none":
                arguments.append(f"--log={log}")
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
        return name, _read_own(shlex.split(options))
    except (ConfigError, UsageError, ValueError) as error:
        raise ConfigError(f"--cell {name!r}: {_why(error, EXAMPLE)}") from error


def _read_sweep(text: str) -> list[SweptValue]:
    """Returns the values of a sweep.

    Raises:
        ConfigError: the text is not that of a sweep.
    """
    name, _, values = text.partition("=")
    texts = [value.strip() for value in values.split(",") if value.strip()]
    if not (name.strip() and texts):
        raise ConfigError(f"--sweep {text[:80]!r} is not an option, = and values; an example is {SWEEP_EXAMPLE}")
    flag = option(name.strip().lstrip("-"))
    try:
        return [
            SweptValue(name, each, value) for each in texts for name, value in _read_own([f"{flag}={each}"]).items()
        ]
    except (ConfigError, UsageError) as error:
        raise ConfigError(f"--sweep {text[:80]!r}: {_why(error, SWEEP_EXAMPLE)}") from error


def _read_own(options: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that options of `hero run` give to some of the cells.

    Raises:
        ConfigError, UsageError: they are no such options, or have to be the same in all cells.
    """
    settings = read_options(options)
    if own := [each for each in ("seed", *FOR_ALL) if each in settings]:
        raise ConfigError(f"{option(own[0])} is the same for all cells; give it by itself")
    return settings


def _why(error: Exception, example: str) -> str:
    """Returns what is wrong with options of `hero run`, and what they are like."""
    if isinstance(error, ConfigError):
        return str(error)
    why = error.format_message() if isinstance(error, UsageError) else str(error)
    return f"{why}; give options of hero run, as in {example}"


def _variants(
    given: Mapping[str, Any], sweeps: Sequence[Sequence[SweptValue]]
) -> list[tuple[tuple[SweptValue, ...], dict[str, Any]]]:
    """Returns each combination of swept values, with the settings for all cells that it makes.

    Raises:
        ConfigError: a setting is given twice.
    """
    variants = []
    for combination in product(*sweeps):
        values = dict(given)
        for name, _, value in combination:
            if name in values and not (name in COMPONENTS and values[name].keys().isdisjoint(value)):
                raise ConfigError(f"{option(name)} is swept, and given besides; leave one of them out")
            values[name] = {**values[name], **value} if name in values else value
        variants.append((combination, values))
    return variants


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
