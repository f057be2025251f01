"""The environment that a policy is played in: that of its run, on the run's data, unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hero.errors import DataError
from hero.runs.reader import read_config

from . import build
from .provenance import env_provenance, explain_missing, require_same, version_warning, versions
from .settings import Settings
from .terminal import console, warn

if TYPE_CHECKING:
    from hero.envs.base import TextEnv


def make_env(settings: Settings, run: Path | None, split: str) -> tuple[TextEnv, dict[str, Any]]:
    """Builds the environment that a policy is played in; returns the arguments with it, for others that are like it.

    Where it is that of the run, it has the data of the run. With other arguments it has those that they leave as they
    were, wherever the command is started.

    Args:
        settings: those that the policy is played with, as `settings_to_play` returns them.
        run: the run that the policy is from; None if it is from none.

    Raises:
        ConfigError: the environment cannot be built.
        RunError: the data of the run are gone, or are others.
    """
    if run is None:
        return build.make_envs(settings.env, split, 1, settings.env_args)[0], settings.env_args
    config = read_config(run)
    stored = config.provenance.get("env", {})
    theirs = config.settings["env_args"] if settings.env == config.settings["env"] else None
    if stored and settings.env_args == theirs:
        arguments = settings.env_args | stored.get("arguments", {})
        with explain_missing(run, "env", DataError):
            (env,) = build.make_envs(settings.env, split, 1, arguments)
        require_same(run, "env", stored, env_provenance(env))
        return env, arguments
    located = {} if theirs is None else stored.get("arguments", {})
    kept = {name: value for name, value in located.items() if settings.env_args.get(name) == (theirs or {}).get(name)}
    arguments = settings.env_args | kept
    return build.make_envs(settings.env, split, 1, arguments)[0], arguments


def warn_of_versions(run: Path | None, settings: Settings) -> None:
    """Prints a warning where versions have changed since a run started; None stands for no run."""
    then = read_config(run).provenance.get("versions", {}) if run else {}
    if warning := version_warning(then, versions(settings)):
        warn(console(errors=True), warning)
