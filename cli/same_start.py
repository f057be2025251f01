"""Runs that start with one policy and evaluate it alike, so that one evaluation before training serves them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError
from hero.runs.reader import is_run_dir, read_config, step_folders

from .provenance import differences, today, versions
from .resolve import stored_settings
from .settings import BROUGHT_BY_MODEL, Settings, option

DECISIVE: Final = (
    "env",
    "env_args",
    "model",
    "chat_args",
    "lora",
    "temperature",
    "max_turns",
    "max_tokens",
    "action_tokens",
    "eval_tasks",
    "seed",
    "threads",
    "device",
    "dtype",
    "serve",
    "shard",
)
"""Settings that the evaluation before training depends on, if only by rounding."""


def require_same_start(path: Path, settings: Settings, provenance: Mapping[str, Any]) -> None:
    """Checks that another run started as this one does.

    Args:
        settings: those of this run, with what the model brings.
        provenance: that of this run.

    Raises:
        ConfigError: a setting, the data, the model or a version differs; the message names it.
        RunError: there is no run, or it cannot be read.
    """
    theirs = stored_settings(path)
    if names := [name for name in DECISIVE if getattr(theirs, name) != getattr(settings, name)]:
        changed = ", ".join(f"{option(name)} {getattr(theirs, name)}, not {getattr(settings, name)}" for name in names)
        raise ConfigError(
            f"--same-start-as {path}: that run has {changed}; leave it out, or give a run that starts alike"
        )
    then = read_config(path).provenance
    for part in ("date", "env", "model", "versions"):
        if changed := "; ".join(differences(part, then.get(part), provenance[part])):
            raise ConfigError(f"--same-start-as {path}: {changed} here; leave it out, or give a run that starts alike")


def has_same_start(path: Path, settings: Settings) -> bool:
    """Returns whether another run has been evaluated, and started as one will, as far as its settings tell."""
    if not (is_run_dir(path) and step_folders(path)):
        return False
    theirs, then = stored_settings(path), read_config(path).provenance
    unknown = [name for name in BROUGHT_BY_MODEL if getattr(settings, name) is None]
    return (
        all(getattr(theirs, name) == getattr(settings, name) for name in DECISIVE if name not in unknown)
        and then.get("date") == today()
        and {**then.get("versions", {}), "device": None} == {**versions(settings), "device": None}
    )
