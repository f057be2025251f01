"""What a run's settings come to on this machine today: stored at its start, compared wherever it goes on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hero import __version__, registry
from hero.errors import HeroError, RunError
from hero.fingerprint import fingerprint
from hero.runs.reader import is_run_dir, read_config, read_latest

from .settings import Settings

if TYPE_CHECKING:
    from hero.envs.base import TextEnv

REMEDIES: Final = {
    "env": "bring back the data, the user and the variables of then",
    "model": "bring back the model's files",
}


def today() -> str:
    """The date that templates are shown, as `2026-11-26`."""
    return date.today().isoformat()


def surroundings(settings: Settings, source: str, env: TextEnv, day: str, device: str) -> dict[str, Any]:
    """Everything that a run takes from where it is started, as plain JSON.

    Args:
        source: where the model was loaded from.
        env: one of the environments that it plays.
        day: what templates are shown as today.
        device: what the model is on, such as `cpu`.

    Raises:
        DataError: a file of the model cannot be read.
    """
    return {
        "date": day,
        "env": of_env(env),
        "model": of_model(source),
        "versions": versions(settings) | {"device": device},
    }


def of_env(env: TextEnv) -> dict[str, Any]:
    """What an environment says of itself."""
    says = getattr(env.unwrapped, "provenance", dict)
    return {"env_id": env.unwrapped.env_id, **says()}  # type: ignore[attr-defined]


def run_of(source: str) -> Path | None:
    """The run directory that a model is given by; None for any other model. Registered names go before."""
    path = Path(os.path.expanduser(source))  # unlike Path.expanduser, no error where there is no such home
    return path if source not in registry.names("hero.models") and is_run_dir(path) else None


def of_model(source: str, heirs: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Where a model lies and what it is: the hash of its files, the revision of one from the hub.

    Args:
        heirs: the runs that were started from it, each from the next.

    Raises:
        ConfigError: there is no such model.
        DataError: a file cannot be read.
        RunError: a run that it comes from cannot be read, or comes from itself.
    """
    if run := run_of(source):
        if (place := run.resolve()) in heirs:
            raise RunError(
                f"{run} was started from a run that lay in a directory where now lies what came of it; move the runs "
                "back to where they were"
            )
        weights = read_latest(run, lambda checkpoint: fingerprint(checkpoint.trainer / "model.safetensors"))
        base = of_model(source_of(run), (*heirs, place))
        return {"path": str(run.absolute()), "sha256": weights, "base": base}
    from hero.models.fingerprint import hub_snapshot, model_fingerprint

    path = Path(source).expanduser()
    if source not in registry.names("hero.models") and not path.exists():
        path = hub_snapshot(source) or path
    found: dict[str, Any] = model_fingerprint(source)
    del found["source"]  # which may be relative to a directory that is another one by then
    if "path" in found or "revision" in found:
        found["path"] = str(path.absolute())  # not where links lead: the name says how it is to be read
    return found | ({"revision": path.name} if path.parent.name == "snapshots" else {})


def source_of(run: Path) -> str:
    """Where the model of a run is to be loaded from: where it was found when the run started, if it is still there."""
    config = read_config(run)
    if "model" not in config.settings:
        raise RunError(f"{run / 'config.json'} does not say which model was trained; give a model instead")
    model: Mapping[str, str] = config.provenance.get("model", {})
    path, source = model.get("path"), str(config.settings["model"])
    # What has gone from the hub's cache can be fetched again.
    return source if path is None or ("revision" in model and not Path(path).exists()) else path


def versions(settings: Settings) -> dict[str, str]:
    """What is installed of all that takes part: Python, this package, and those that bring a component."""
    found = {"python": platform.python_version(), "hero": __version__}
    for name in ("torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    components = {
        "hero.envs": settings.env,
        "hero.learners": settings.learner,
        "hero.reflectors": settings.reflector,
        "hero.teachers": settings.teacher,
        "hero.models": settings.model,
    }
    for group, component in components.items():
        for entry in entry_points(group=group, name=component or ""):
            if entry.dist is not None and entry.dist.name != "hero-agents":
                found[entry.dist.name] = entry.dist.version
    return found


def require_same(run: Path, part: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses to go on with other data or another model.

    Args:
        part: of the provenance, `env` or `model`.

    Raises:
        RunError: something differs; the message names it.
    """
    if found := [*_differences(part, then, now)]:
        raise _not_as_it_was(run, part, "; ".join(found))


@contextmanager
def as_it_was(run: Path, part: str, *missing: type[HeroError]) -> Iterator[None]:
    """Turns errors of the block, which takes up data or a model of before, into one that says how to go on.

    Args:
        part: of the provenance, `env` or `model`.
        missing: errors that say that it is not there any more.

    Raises:
        RunError: the block raised one of them.
    """
    try:
        yield
    except missing as error:
        raise _not_as_it_was(run, part, str(error)) from error


def _not_as_it_was(run: Path, part: str, why: str) -> RunError:
    return RunError(
        f"{run} cannot go on here as it was started: {why}. To go on, {REMEDIES[part]}; or start another run with "
        "another --out"
    )


def other_versions(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Says which versions differ from those of then; "" for none."""
    both = then.keys() & now.keys()
    found = [*_differences("", {name: then[name] for name in sorted(both)}, {name: now[name] for name in both})]
    return f"not as when the run started, and results may differ: {'; '.join(found)}" if found else ""


def _differences(name: str, then: Any, now: Any) -> Iterator[str]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in {**then, **now}:
            if key != "arguments":  # which say only how to get there
                yield from _differences(f"{name}.{key}".lstrip("."), then.get(key), now.get(key))
    elif then != now:
        yield f"{name} was {then!r:.100}, and is {now!r:.100}"
