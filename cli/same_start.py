"""Runs that start with one policy and evaluate it alike, so that one evaluation before training serves them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError, RunError
from hero.runs.reader import check_rows, is_run_dir, read_config, step_folders

from .provenance import differences, versions
from .resolve import stored_settings
from .settings import AFTER_START, FIELDS, Settings, option

DECISIVE: Final = tuple(name for name in FIELDS if name not in AFTER_START)
"""Settings that it depends on, if only by rounding; so does a new one, unless it is said to have no part."""


def start_alike(one: Settings, other: Settings) -> bool:
    """Returns whether the evaluations before training of two runs are the same, as far as settings tell."""
    return all(getattr(one, name) == getattr(other, name) for name in DECISIVE)


def can_share_start(path: Path, settings: Settings) -> bool:
    """Returns whether a run was evaluated before training with the settings of one that is to take that over.

    It may have been started long ago, with as many threads or as much memory as there were then.
    """
    return is_run_dir(path) and bool(step_folders(path)) and not _other_than_given(stored_settings(path), settings)


def _other_than_given(theirs: Settings, settings: Settings) -> list[str]:
    """Returns the settings that decide and differ, but for those that a model brings and that are not known yet."""
    given = {name: getattr(settings, name) for name in DECISIVE if getattr(settings, name) is not None}
    return [name for name, value in given.items() if getattr(theirs, name) != value]


def require_same_start(path: Path, settings: Settings) -> None:
    """Checks what can be checked before a model is loaded: that a run was evaluated, and has no other settings.

    Args:
        settings: those of the run that is to take the evaluation over; what the model brings may be None.

    Raises:
        ConfigError: a setting that decides is another; the message names it.
        RunError: there is no run, it has not been evaluated yet, or its records are damaged.
    """
    theirs = stored_settings(path)
    if names := _other_than_given(theirs, settings):
        others = " and ".join(
            f"{option(name)} {getattr(theirs, name)}, not {getattr(settings, name)}" for name in names
        )
        raise ConfigError(
            f"--same-start-as {path}: that run has {others}; leave it out, or give a run that starts alike"
        )
    if not step_folders(path):
        raise RunError(f"{path} has no evaluation before training yet; wait until it has, or leave --same-start-as out")
    check_rows(path, "validation", "evals")


def why_other_start(path: Path, settings: Settings, provenance: Mapping[str, Any]) -> str:
    """Returns how the start of a run differs from that of another one; "" if it does not.

    Args:
        path: the run that was evaluated.
        settings: those of the run that is to take the evaluation over, with what the model brings.
        provenance: that of this run.
    """
    theirs, then = stored_settings(path), read_config(path).provenance
    # The packages of a learner have no part in it.
    packages = {*versions(replace(settings, learner="base", reflector=None, teacher=None)), "device"}
    changes = [
        f"{option(name)} was {getattr(theirs, name)}, and is {getattr(settings, name)}"
        for name in DECISIVE
        if getattr(theirs, name) != getattr(settings, name)
    ]
    for part in ("date", "env", "model"):
        changes += differences(part, then.get(part), provenance[part])
    for package in sorted(packages):
        changes += differences(package, then.get("versions", {}).get(package), provenance["versions"].get(package))
    return "; ".join(changes)
