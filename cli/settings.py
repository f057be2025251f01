"""What a run is made of, and its defaults: this is the only place that has any."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hero.errors import ConfigError, RunError
from hero.runs.reader import read_settings

if TYPE_CHECKING:
    from hero.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one run, as config.json keeps them; the options of `hero run` explain each.

    None stands for no limit in `steps` and `turn_budget`, and elsewhere for a setting that the learner has no use for.
    """

    env: str = "webshop"
    env_args: dict[str, Any] = field(default_factory=dict)
    learner: str = "distill"
    model: str = "tiny"
    chat_args: dict[str, Any] = field(default_factory=dict)
    reflector: str | None = "rules"
    teacher: str | None = "ema"
    teacher_thoughts: bool | None = True
    divergence: str | None = "reverse_kl"
    steps: int | None = 12
    turn_budget: int | None = None
    episodes: int = 64
    group_size: int = 1
    temperature: float = 0.5
    learning_rate: float = 2e-4
    max_turns: int = 10
    action_tokens: int = 48
    reflection_tokens: int = 256
    eval_tasks: int = 200
    eval_every: int = 4
    seed: int = 0
    threads: int = 1

    def plan(self) -> Plan:
        """The part that the loop needs.

        Raises:
            ConfigError: a number that is not possible.
        """
        from hero.plan import Plan

        return Plan(**{name.name: getattr(self, name.name) for name in fields(Plan)})

    def record(self) -> dict[str, Any]:
        """As plain JSON; `Settings(**record)` gives back an equal one."""
        return asdict(self)


FOR_LEARNER: Final[dict[str, Mapping[str, Any]]] = {
    "grpo": {"group_size": 8, "reflector": None, "teacher": None, "teacher_thoughts": None, "divergence": None},
}
"""Where a learner's defaults differ. What is None there cannot be given: it would do nothing."""

FOR_ENV: Final[dict[str, Mapping[str, Any]]] = {
    "taubench": {"model": "tiny-taubench", "max_turns": 30, "action_tokens": 128},
}
"""Where an environment's defaults differ."""


def default(name: str) -> str:
    """The default of a setting, as the help shows it."""
    if name == "threads":
        return "all cores"
    base = Settings().record()[name]
    if isinstance(base, bool):
        return "on" if base else "off"
    others = [
        f"{values[name]} with {other}"
        for other, values in (FOR_LEARNER | FOR_ENV).items()
        if values.get(name) is not None and values[name] != base
    ]
    return ", ".join(["no limit" if base is None else str(base), *others])


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings of a new run.

    Args:
        given: what the user asked for; everything else has its default.

    Raises:
        ConfigError: a setting that would do nothing, or is not possible.
    """
    special = FOR_LEARNER.get(given.get("learner", Settings().learner), {})
    for name, value in special.items():
        if value is None and name in given:
            option = _option(name) if isinstance(given[name], bool) else f"{_option(name)} {given[name]}"
            raise ConfigError(f"{option} does nothing with --learner {given['learner']}; leave it out")
    for_env = FOR_ENV.get(given.get("env", Settings().env), {})
    wanted = {"threads": _cores(), **for_env, **special, **given}
    if "turn_budget" in given and "steps" not in given:
        wanted["steps"] = None
    settings = Settings(**wanted)
    _check(settings)
    return settings


def stored_settings(path: Path) -> Settings:
    """The settings of the run in a directory.

    Raises:
        RunError: there is no run, its settings are not those of this version, or they are not possible.
    """
    record, config = read_settings(path), path / "config.json"
    if other := sorted(record.keys() ^ {setting.name for setting in fields(Settings)}):
        raise RunError(f"{config} holds settings of another version ({', '.join(other)}); use that version")
    settings = Settings(**record)
    try:
        _check(settings)
    except ConfigError as error:
        raise RunError(f"{config} holds settings that are not possible ({error}); use the version of it") from error
    return settings


def extension(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a resumed run does more than it was started with.

    Args:
        given: what the user asked for.

    Returns:
        `steps` and `turn_budget` where one is given that is larger than before.

    Raises:
        ConfigError: one is smaller than before, or was not a limit.
    """
    more: dict[str, Any] = {}
    for name in ("steps", "turn_budget"):
        before, now = getattr(settings, name), given.get(name)
        if now is None or now == before:
            continue
        if before is None or now < before:
            was = "without that limit" if before is None else f"with {_option(name)} {before}"
            raise ConfigError(
                f"{_option(name)} {now}, but the run was started {was}; a run that is resumed can become longer, not "
                "shorter: leave the option out, or start another run with another --out"
            )
        more[name] = now
    return more


def _check(settings: Settings) -> None:
    """Refuses numbers that are not possible, by the names of their options."""
    try:
        settings.plan()
    except ConfigError as error:
        raise ConfigError(re.sub(r"\b(\w+) = ", lambda found: f"{_option(found[1])} ", str(error))) from error
    for name in ("action_tokens", "reflection_tokens", "threads", "learning_rate"):
        if not 0 < getattr(settings, name) < math.inf:
            raise ConfigError(f"{_option(name)} {getattr(settings, name)} is not possible; give more than 0")
    if settings.learner == "grpo" and settings.group_size < 2:
        raise ConfigError("--group-size 1 leaves grpo nothing to compare: every advantage is 0; give at least 2")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _cores() -> int:
    """The processors that this process may use; an OMP_NUM_THREADS of the user's goes before."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and len(wanted) < 10 and int(wanted):
        return int(wanted)
    # Only Linux says which processors a process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
