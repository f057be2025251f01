"""Complete the settings that a user gave with the defaults of components, and check them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hero import registry
from hero.distill.sums import min_group_size
from hero.errors import ConfigError, RunError
from hero.reflect.base import with_model
from hero.runs.reader import MEMORY_SETTINGS, read_settings

from .learner import GROUP, read_learner
from .settings import AFTER_START, FIELDS, Settings, option, types

CHOICES: Final = ("env", "learner")
"""Settings that name a component whose own defaults count: no other component may choose them."""


PLAYED: Final = (
    *("env", "env_args", "chat_args", "temperature", "max_turns", "max_tokens", "action_tokens"),
    *("threads", "device", "dtype", "kv_cache_gib"),
)
"""Settings that a policy is played with, which need not be those that it was trained with."""


OF_TRAINING: Final = AFTER_START - {"learner", "learner_args", "min_valid_actions"}
"""Settings that do nothing where nothing is trained."""


class IdleSettingError(ConfigError):
    """A setting that would do nothing.

    Attributes:
        setting: name of the setting.
    """

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


def settings_of(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Settings:
    """Returns the settings of a new run.

    Args:
        given: settings that the user gave; every other has the default of the learner, the environment or `Settings`,
            the first that has one.
        defaults: those of the command, which come before.

    Raises:
        ConfigError: a setting is not possible, or would do nothing, which is an `IdleSettingError`.
    """
    given = {**given, **env_settings(given.get("env"), given.get("env_args", {}))}
    chosen = {name: given.get(name, getattr(Settings(), name)) for name in CHOICES}
    learner = read_learner(chosen["learner"])
    for_learner = learner.defaults({part.name: _component_defaults(GROUP, part.name) for part in learner.parts}, given)
    for_env = _component_defaults("hero.envs", chosen["env"])
    for name, value in for_learner.items():
        if value is None and name in given:
            raise IdleSettingError(
                name, f"{option(name)} {given[name]} does nothing with --learner {learner.text}; leave it out"
            )
    if for_learner.get("steps") == 0:
        for name in given:
            if name in OF_TRAINING:
                raise IdleSettingError(
                    name,
                    f"{option(name)} {given[name]} does nothing with --learner {learner.text}, which does not train",
                )
    values = {"threads": _cores(), **for_env, **for_learner, **(defaults or {}), **given}
    if "turn_budget" in given and "steps" not in given:
        values["steps"] = None
    settings = Settings(**values)
    settings = replace(settings, **reflector_settings(settings.reflector, settings.reflector_args))
    for name in given:
        if needed := FIELDS[name].metadata.get("needs"):
            needed_name, value = needed
            actual = getattr(settings, needed_name)
            if actual is None or (value is not None and actual != value):
                why = f"without {option(needed_name)} {value or 'N'}; add that, or leave it out"
                if for_learner.get(needed_name, "any") is None:
                    why = f"with --learner {learner.text}; leave it out"
                raise IdleSettingError(name, f"{option(name)} {given[name]} does nothing {why}")
    _check(settings)
    return settings


def settings_to_play(policy: str, run: Path | None, given: Mapping[str, Any]) -> Settings:
    """Returns the settings that a policy is played with: those that the user gave, then those of its run or the usual.

    The arguments of a run's environment are not those of another one; where it is the same, they stay unless given.

    Args:
        run: the directory of the run that the policy is from; None if it is from none.
        given: settings among `PLAYED`.

    Raises:
        ConfigError: a setting is not possible.
        RunError: the run cannot be read.
    """
    given = dict(given)
    temperature = given.pop("temperature", None)  # 0 is for playing alone
    if temperature is not None and not 0 <= temperature < math.inf:
        raise ConfigError(f"--temperature {temperature} is not possible; give at least 0, which is greedy")
    if run is None:
        elsewhere = ("max_tokens", "threads", "device", "dtype", "kv_cache_gib") if policy.startswith("openai:") else ()
        if idle := [option(name) for name in elsewhere if name in given]:
            raise ConfigError(f"{idle[0]} does nothing with {policy}, which runs elsewhere; leave it out")
        settings = settings_of({"model": policy, **given})
    else:
        settings = stored_settings(run)
        named = {"env": settings.env, "env_args": {}} | env_settings(given.get("env"), {})
        is_theirs = named["env"] == settings.env and named["env_args"].items() <= settings.env_args.items()
        given |= env_settings(given.get("env"), given.get("env_args", {}))
        given["env_args"] = (settings.env_args if is_theirs else {}) | given.get("env_args", {})
        settings = replace(settings, **given)
        _check(settings)
    return settings if temperature is None else replace(settings, temperature=temperature)


def env_settings(env: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of an environment that is named as `hero.envs.resolve` takes it; {} for None.

    Raises:
        ConfigError: a module cannot be imported.
    """
    if env is None:
        return {}
    from hero.envs import resolve

    name, options = resolve(env, arguments)
    return {"env": name} | ({"env_args": options} if options else {})


def reflector_settings(reflector: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a reflector; of NAME:MODEL they are NAME and the option model=MODEL; {} for None.

    A path is absolute, since a run may be resumed from another directory.
    """
    if reflector is None:
        return {}
    name, options = with_model(reflector, arguments)
    model = options.get("model")
    is_registered = registry.is_known("hero.models", str(model))
    if name == "local" and model and not is_registered and os.path.exists(path := os.path.expanduser(str(model))):
        options["model"] = os.path.abspath(path)
    return {"reflector": name} | ({"reflector_args": options} if options else {})


def _component_defaults(group: str, name: str) -> Mapping[str, Any]:
    """Returns the defaults that a component brings along.

    Raises:
        ConfigError: the component is not installed, or brings defaults that it must not have.
    """
    defaults = getattr(registry.load(group, name), "defaults", {})
    if not isinstance(defaults, Mapping):
        raise ConfigError(f"the defaults of {name} ({group}) must be a mapping, not {defaults!r:.80}")
    if other := [key for key in defaults if key not in FIELDS or key in CHOICES or str(key).endswith("_args")]:
        raise ConfigError(
            f"{name} ({group}) brings a default of {', '.join(map(str, other))}, which is not a setting that a "
            "component may bring; remove it there"
        )
    try:
        check_types(defaults)
    except ConfigError as error:
        raise ConfigError(f"{name} ({group}) brings a default that is not possible: {error}") from error
    return defaults


def stored_settings(path: Path) -> Settings:
    """Returns the settings of the run in a directory.

    Raises:
        RunError: there is no run, its settings are not those of this version, or they are not possible.
    """
    record, config = read_settings(path), path / "config.json"
    if differing := sorted(record.keys() ^ FIELDS.keys()):
        raise RunError(f"{config} holds settings of another version ({', '.join(differing)}); use that version")
    try:
        check_types(record)
        settings = Settings(**record)
        _check(settings)
    except ConfigError as error:
        raise RunError(f"{config} holds settings that are not possible ({error}); use the version of it") from error
    return settings


def require_unchanged(path: Path, settings: Settings, given: Mapping[str, Any]) -> None:
    """Refuses settings that a user gave to a run that is resumed where they are not the run's.

    Args:
        settings: those of the run.

    Raises:
        RunError: one differs.
    """
    named = env_settings(given.get("env"), given.get("env_args", {}))
    named |= reflector_settings(given.get("reflector"), given.get("reflector_args", {}))
    for name, value in {**given, **named}.items():
        before = getattr(settings, name)
        implied = name not in given and value.items() <= before.items()  # a name alone says nothing of other options
        if before != value and not implied:
            raise RunError(
                f"{path} was started with {option(name)} {json.dumps(before)}, not {json.dumps(value)}; resume without "
                "that option, or start another run with another --out"
            )


def extension(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the limits with which a resumed run becomes longer.

    Args:
        given: settings that the user gave.

    Returns:
        `steps` and `turn_budget`, each only if it is given and larger than before.

    Raises:
        ConfigError: one is smaller than before, or was not a limit; or a setting depends on the length of the run.
    """
    more: dict[str, Any] = {}
    for name in ("steps", "turn_budget"):
        before, now = getattr(settings, name), given.get(name)
        if now is None or now == before:
            continue
        if before is None or now < before:
            was = "without that limit" if before is None else f"with {option(name)} {before}"
            raise ConfigError(
                f"{option(name)} {now}, but the run was started {was}; a run that is resumed can become longer, not "
                "shorter: leave the option out, or start another run with another --out"
            )
        more[name] = now
    if more and read_learner(settings.learner).changes:
        raise ConfigError(
            f"--learner {settings.learner} changes in the course of a run, and a longer one would have trained "
            "differently from the start; start another run with another --out"
        )
    try:
        _check_decay(replace(settings, **more))
    except ConfigError as error:
        raise ConfigError(f"{error}; a run that is resumed keeps it, so start another run") from error
    return more


def with_memory_settings(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Returns the settings of a run that is resumed, with the `MEMORY_SETTINGS` among those that the user gave.

    Raises:
        ConfigError: one is not possible.
    """
    changed = replace(settings, **{name: given[name] for name in MEMORY_SETTINGS if name in given})
    _check(changed)
    return changed


def check_types(record: Mapping[str, Any]) -> None:
    """Checks the types of settings, by the names of their options.

    Raises:
        ConfigError: a value is of another type.
    """
    from typeguard import TypeCheckError, check_type

    for name, value in record.items():
        try:
            check_type(value, types()[name])
        except TypeCheckError as error:
            raise ConfigError(f"{option(name)} {value!r:.80}: {error}") from None


def _check(settings: Settings) -> None:
    """Refuses numbers that are not possible, by the names of their options."""
    try:
        settings.plan()
    except ConfigError as error:
        raise ConfigError(re.sub(r"\b(\w+) = ", lambda match: f"{option(match[1])} ", str(error))) from error
    for name, declared in FIELDS.items():
        value, limits = getattr(settings, name), declared.metadata
        low, above, below = (limits.get(name) for name in ("min", "above", "below"))
        if value is None or (low is None and above is None):
            continue
        if not ((low is None or value >= low) and (above is None or value > above) and value < below):
            least = f"at least {low}" if above is None else f"more than {above}"
            most = f" and less than {below:g}" if below != math.inf else ", and finite" if value == math.inf else ""
            raise ConfigError(f"{option(name)} {value} is not possible; give {least}{most}")
    _check_decay(settings)
    parts = read_learner(settings.learner).parts
    for part in parts:
        for name, value in getattr(part.component, "idle_with", {}).items():
            if getattr(settings, name) == value:
                raise ConfigError(f"{option(name)} {value} leaves the learner {part.name} nothing to do; give another")
    least_group = min_group_size(*(part.component for part in parts))
    if settings.group_size < least_group:
        raise ConfigError(
            f"--group-size {settings.group_size} leaves {settings.learner} nothing to compare; give at least "
            f"{least_group}"
        )


def _check_decay(settings: Settings) -> None:
    """Refuses a learning rate that would be 0 before the run ends."""
    decay, steps = settings.decay_steps, settings.steps
    if decay is None:
        return
    if steps is None:
        raise ConfigError(
            f"--decay-steps {decay} needs --steps, since a run with a turn budget alone may take more steps"
        )
    if decay < steps or decay <= settings.warmup_steps:
        least = max(steps, settings.warmup_steps + 1)
        raise ConfigError(
            f"--decay-steps {decay} leaves no learning rate for all of --steps {steps} after --warmup-steps "
            f"{settings.warmup_steps}; give at least {least}"
        )


def _cores() -> int:
    """Returns the number of processors that this process may use; OMP_NUM_THREADS of the user takes precedence."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and len(threads) < 10 and int(threads):
        return int(threads)
    # Only Linux says which processors a process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
