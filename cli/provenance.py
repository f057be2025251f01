"""Provenance of a run: date, environment, model and versions, stored at its start and compared when it is resumed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hero import __version__, registry
from hero.envs.validate import read_provenance
from hero.errors import ConfigError, HeroError, RunError
from hero.fingerprint import fingerprint
from hero.reflect.base import provenance_of
from hero.runs.reader import Checkpoint, is_run_dir, read_checkpoint, read_config

from .learner import GROUP, read_learner
from .settings import Settings

if TYPE_CHECKING:
    from hero.envs.base import TextEnv
    from hero.reflect.base import Reflector

REMEDIES: Final = {
    "env": "bring back the data, the user and the environment variables that it was started with",
    "model": "bring back the model's files",
    "reflector": "bring back the files of the model that reviews",
}
"""Remedies for each part of the provenance that has changed."""


def today() -> str:
    """Returns the date for chat templates, such as `2026-11-26`."""
    return date.today().isoformat()


def run_provenance(
    settings: Settings, source: str, env: TextEnv, reflector: Reflector | None, day: str, device: str
) -> dict[str, Any]:
    """Returns the provenance of a run that starts here, as plain JSON.

    Args:
        source: where the model was loaded from.
        env: one of the run's environments.
        reflector: that of the run; None for a run without one.
        day: the date for chat templates.
        device: the device of the model, such as `cpu`.

    Raises:
        ConfigError: the environment or the reflector has a provenance that is not plain JSON.
        DataError: a file of the model cannot be read.
    """
    return {
        "date": day,
        "env": env_provenance(env),
        "model": model_provenance(source),
        "reflector": {} if reflector is None else reflector_provenance(reflector),
        "versions": versions(settings) | {"device": device},
    }


def env_provenance(env: TextEnv) -> dict[str, Any]:
    """Returns the provenance of an environment: its id, and the result of its method `provenance`.

    Raises:
        ConfigError: that result is not plain JSON.
    """
    try:
        provenance = read_provenance(getattr(env.unwrapped, "provenance", dict)())
    except TypeError as error:
        raise ConfigError(f"{type(env.unwrapped).__name__}: {error}") from error
    return {"env_id": env.unwrapped.env_id, **provenance}  # type: ignore[attr-defined]


def reflector_provenance(reflector: Reflector) -> dict[str, Any]:
    """Returns the provenance of a reflector; empty for one that has none.

    Raises:
        ConfigError: it is not plain JSON.
    """
    try:
        return read_provenance(provenance_of(reflector))
    except TypeError as error:
        raise ConfigError(f"{type(reflector).__name__}: {error}") from error


def run_dir_of(source: str) -> Path | None:
    """Returns the run directory that names a model; None for any other model. Registered names take precedence."""
    path = Path(os.path.expanduser(source))  # unlike Path.expanduser, no error where there is no such home
    return path if not registry.is_known("hero.models", source) and is_run_dir(path) else None


def model_provenance(source: str, descendants: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Returns the provenance of a model: its path, the hash of its files, and for the hub the revision.

    Of a run it is the best checkpoint: its step, the hash of its weights, and the provenance of the run's own model.

    Args:
        descendants: the runs that were started from it, the newest first.

    Raises:
        ConfigError: there is no such model.
        DataError: a file cannot be read.
        RunError: a run that the model comes from cannot be read, or comes from itself.
    """
    if run := run_dir_of(source):
        if (real_path := run.resolve()) in descendants:
            raise RunError(
                f"{run} comes from itself: where its starting model was, there is now a run that was started from it; "
                "move the runs back to where they were"
            )
        base = model_provenance(model_source(run), (*descendants, real_path))
        return {"path": str(run.absolute()), **(read_checkpoint(run, "best", _weights) or {}), "base": base}
    from hero.models.fingerprint import hub_snapshot, model_fingerprint

    path = Path(source).expanduser()
    if not registry.is_known("hero.models", source) and not path.exists():
        path = hub_snapshot(source) or path
    provenance: dict[str, Any] = model_fingerprint(source)
    del provenance["source"]  # may be relative to a working directory that differs on resuming
    if "path" in provenance or "revision" in provenance:
        provenance["path"] = str(path.absolute())  # links are not followed: the name decides how the file is read
    return provenance | ({"revision": path.name} if path.parent.name == "snapshots" else {})


def _weights(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"step": checkpoint.step, "sha256": fingerprint(checkpoint.trainer / "model.safetensors")}


def model_source(run: Path) -> str:
    """Returns where to load the starting model of a run from: where it was at the start, if it is still there.

    Raises:
        RunError: the run cannot be read, or does not name its model.
    """
    config = read_config(run)
    if "model" not in config.settings:
        raise RunError(f"{run / 'config.json'} does not say which model was trained; give a model instead")
    model: Mapping[str, str] = config.provenance.get("model", {})
    path, source = model.get("path"), str(config.settings["model"])
    # A model that is gone from the hub's cache can be fetched again.
    return source if path is None or ("revision" in model and not Path(path).exists()) else path


def versions(settings: Settings) -> dict[str, str]:
    """Returns versions of Python, this package, and the packages that bring a component of the run, by name."""
    installed = {"python": platform.python_version(), "hero": __version__}
    for name in ("torch", "transformers"):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    components = [
        ("hero.envs", settings.env),
        *((GROUP, part.name) for part in read_learner(settings.learner).parts),
        ("hero.reflectors", settings.reflector),
        ("hero.teachers", settings.teacher),
        ("hero.models", settings.model),
    ]
    for group, component in components:
        for entry in entry_points(group=group, name=component or ""):
            if entry.dist is not None and entry.dist.name != "hero-agents":
                installed[entry.dist.name] = entry.dist.version
    return installed


def require_same(run: Path, part: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Checks that data or models are the same as when the run started.

    Args:
        part: part of the provenance, a key of `REMEDIES`.

    Raises:
        RunError: something differs; the message names it.
    """
    if changes := [*differences(part, then, now)]:
        raise _not_as_it_was(run, part, "; ".join(changes))


def require_equal(each: Sequence[Mapping[str, Any]]) -> None:
    """Checks that all processes of a run have the same data and model.

    Args:
        each: the provenance that each process would record.

    Raises:
        ConfigError: one has another than the first.
    """
    for rank, now in enumerate(each):
        if changes := [*differences("", {**each[0], "versions": {}}, {**now, "versions": {}})]:
            raise ConfigError(f"process {rank} has other data or another model than process 0: {'; '.join(changes)}")


@contextmanager
def explain_missing(run: Path, part: str, *missing: type[HeroError]) -> Iterator[None]:
    """Turns errors of the block, which opens the run's data or model, into one that explains how to go on.

    Args:
        part: part of the provenance, `env` or `model`.
        missing: the errors that mean that the data or model are gone.

    Raises:
        RunError: the block raised one of these.
    """
    try:
        yield
    except missing as error:
        raise _not_as_it_was(run, part, str(error)) from error


def _not_as_it_was(run: Path, part: str, why: str) -> RunError:
    return RunError(
        f"{run} cannot go on as it was started: {why}. To go on, {REMEDIES[part]}; or start another run with "
        "another --out"
    )


def version_warning(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns a warning that names the versions that have changed; "" if none has."""
    both = sorted(then.keys() & now.keys())
    changes = [*differences("", {name: then[name] for name in both}, {name: now[name] for name in both})]
    changed = "; ".join(changes)
    return f"versions have changed since the run started, and results may differ: {changed}" if changed else ""


def differences(name: str, then: Any, now: Any) -> Iterator[str]:
    """Yields what differs between a part of the provenance of a run and the same part of another, or of later."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in {**then, **now}:
            if key != "arguments":  # they only locate what the other keys identify
                yield from differences(f"{name}.{key}".lstrip("."), then.get(key), now.get(key))
    elif then != now:
        yield f"{name} was {then!r:.100}, and is {now!r:.100}"
