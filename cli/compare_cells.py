"""The cells of a comparison, from what a user gave."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from hero import registry
from hero.errors import ConfigError

from .build import check_components
from .compare_plan import cell_folder
from .learner import read_learner
from .options import UsageError, read_options
from .resolve import IdleSettingError, settings_of
from .settings import Settings, option

EXAMPLE: Final = '--cell "no advice: --teacher-arg advice=false"'
SWEEP_EXAMPLE: Final = "--sweep learning-rate=1e-4,2e-4"
FOR_ALL: Final = ("env", "env_args", "model", "chat_args", "eval_tasks")
"""Settings that no cell may have for itself: all start with one model, and are evaluated on the same tasks."""
COMPONENTS: Final = {"learner_args": "", "reflector_args": "student", "teacher_args": ""}
"""Settings that hold options of a component, each of which counts by itself, and the parameter that a run gives it."""


class SweptValue(NamedTuple):
    """One value of a sweep: a setting, the value as it ends the name of a cell, and what it means."""

    setting: str
    text: str
    value: Any


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
    idle = {
        key: f"{option(key[0])} is given in every cell; leave it out" for _, values in variants for key in _keys(values)
    }
    for cell, settings in own:
        for swept, values in variants:
            try:
                shared, reasons = _useful(values, settings)
                counting = _merged(shared, settings)
                both = counting, settings_of(counting)
                check_components(both[1])
            except ConfigError as error:
                raise ConfigError(f"cell {cell!r}: {error}") from error
            useful = _keys(shared)
            idle = {key: reasons.get(key, reason) for key, reason in idle.items() if key not in useful}
            labels = [
                value.text for value in swept if all(key in useful for key in _keys({value.setting: value.value}))
            ]
            name = " ".join([cell, *labels])
            if len(labels) < len(swept) and made.get(name) == both:
                continue  # this cell has no use for what is swept
            if other := next((each for each in made if cell_folder(each) == cell_folder(name)), None):
                remedy = "write one with --cell and another name" if swept else "give one another name"
                raise ConfigError(f"two cells, {other!r} and {name!r}, would be in {cell_folder(name)}-seedN; {remedy}")
            made[name] = both
    if idle:
        names = " and ".join(f"{option(setting)} {key}".strip() for setting, key in idle)
        raise ConfigError(f"no cell has a use for {names}: {next(iter(idle.values()))}")
    return made


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
    where = f"--sweep {text[:80]!r}"
    name, _, values = (part.strip() for part in text.partition("="))
    flag, key = option(name.lstrip("-")), ""
    if flag in map(option, COMPONENTS):
        key, equals, values = values.partition("=")
        key += equals
    try:
        texts = [each.strip() for each in next(csv.reader([values], skipinitialspace=True), []) if each.strip()]
    except csv.Error as error:
        raise ConfigError(f"{where}: {error}; an example is {SWEEP_EXAMPLE}") from error
    if not (name and texts):
        raise ConfigError(f"{where} is not an option, = and values; an example is {SWEEP_EXAMPLE}")
    try:
        read = [(f"{key}{each}", _read_own([f"{flag}={key}{each}"])) for each in texts]
    except (ConfigError, UsageError) as error:
        raise ConfigError(f"{where}: {_why(error, SWEEP_EXAMPLE)}") from error
    swept = [SweptValue(setting, label, value) for label, settings in read for setting, value in settings.items()]
    if swept[0].setting == "learner":
        raise ConfigError(f"{where}: give --learners {values}")
    for index, each in enumerate(swept):
        if each.value in [earlier.value for earlier in swept[:index]]:
            raise ConfigError(f"{where} has {each.text} twice; leave one of them out")
    return swept


def _read_own(options: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that options of `hero run` give to some of the cells.

    Raises:
        ConfigError, UsageError: they are no such options, or have to be the same in all cells.
    """
    settings = read_options(options)
    if "seed" in settings:
        raise ConfigError("every cell has the same seeds; give --seeds and --first-seed")
    if own := [each for each in FOR_ALL if each in settings]:
        raise ConfigError(f"{option(own[0])} is the same for all cells; give it outside of --cell and --sweep")
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


def _keys(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the names of settings; of the options of a component, each with its own name, which is else ""."""
    return [(name, key) for name, value in settings.items() for key in (value if name in COMPONENTS else ("",))]


def _useful(given: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Returns those settings for all cells that count in a cell, and the reason against others by their `_keys`.

    Raises:
        ConfigError: the settings of the cell itself are not possible, or would do nothing.
    """
    shared = {name: value for name, value in given.items() if name not in own or name in COMPONENTS}
    reasons: dict[tuple[str, str], str] = {}
    while True:
        try:
            settings = settings_of(_merged(shared, own))
        except IdleSettingError as error:
            if error.setting not in shared:
                raise
            reasons |= dict.fromkeys(_keys({error.setting: shared.pop(error.setting)}), str(error))
        else:
            break
    for name in COMPONENTS.keys() & shared.keys():
        refused = {key: why for key in shared[name] if (why := _refusal(settings, name, key))}
        reasons |= {(name, key): why for key, why in refused.items()}
        shared[name] = {
            key: value for key, value in shared[name].items() if key not in refused and key not in own.get(name, ())
        }
        if not shared[name]:
            del shared[name]
    return shared, reasons


def _refusal(settings: Settings, name: str, key: str) -> str:
    """Returns why the component of some settings has no use for an option; "" if it has."""
    component = getattr(settings, name.removesuffix("_args"))
    if component is None:
        return f"{option(name)} does nothing with --learner {settings.learner}; leave it out"
    try:
        if name == "learner_args":
            read_learner(component).require_option(key)  # it may be a sum
        else:
            registry.require_option(f"hero.{name.removesuffix('_args')}s", component, key, later=[COMPONENTS[name]])
    except ConfigError as error:
        return str(error)
    return ""


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of both; of the options of a component each counts by itself."""
    args = {name: shared[name] | own[name] for name in COMPONENTS if name in shared and name in own}
    return {**shared, **own, **args}
