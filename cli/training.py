"""Start or resume a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hero.errors import ConfigError
from hero.processes import Processes
from hero.runs.reader import MEMORY_SETTINGS, progress

from . import build, live, provenance
from .logs import LogKind
from .parts import Origin, build_parts
from .resolve import extension, require_unchanged, stored_settings, with_memory_settings
from .same_start import require_same_start, why_other_start
from .settings import Settings, option

if TYPE_CHECKING:
    from hero.plan import Plan
    from hero.runs.replica import Replica
    from hero.runs.writer import Run


def start(
    out: Path | None,
    settings: Settings,
    log: LogKind,
    loaded: Callable[[], float],
    same_start_as: Path | None = None,
) -> None:
    """Starts a run; its directory is made once everything is built, so that a mistake leaves nothing behind.

    Args:
        loaded: is called once that is done, and returns how many seconds it took.
        same_start_as: a run whose evaluation before training is taken over; None to make it.
    """
    from hero.runs.writer import Run, require_empty

    processes = Processes.join()
    if settings.shard and processes.size == 1:
        raise ConfigError(
            "--shard splits the model among processes, and this one is alone; start it as: torchrun --standalone "
            "--nproc-per-node N -m hero_cli run --shard ..."
        )
    learner = re.sub(r"\W+", "-", settings.learner)  # a sum has signs that not every system allows in a name
    path = out or _unused(Path("runs"), f"{settings.env}-{learner}-seed{settings.seed}")
    require_empty(path)
    if same_start_as:
        require_same_start(same_start_as, settings)
    parts = build_parts(settings, Origin(settings.model, provenance.today(), path), processes)
    not_taken = ""
    if same_start_as and (changes := why_other_start(same_start_as, parts.settings, parts.provenance)):
        not_taken = f"{same_start_as} started otherwise, so that its evaluation is made here again: {changes}"
        same_start_as = None
    with (
        build.closing(parts.all_envs),
        _opened(path, lambda: Run.create(path, parts.settings.record(), parts.provenance), processes) as run,
    ):
        live.train(run, parts, log, start_up=loaded(), warning=not_taken, same_start_as=same_start_as)


def resume(path: Path, given: dict[str, Any], log: LogKind, loaded: Callable[[], float]) -> None:
    """Resumes a run on the data and the model that it was started with; longer where more steps or turns are given.

    Settings that change its memory alone may be others.

    Args:
        loaded: as for `start`.

    Raises:
        ConfigError: a limit is smaller than before, or a larger one adds nothing.
        RunError: there is no run, a given setting is another, or data or model have changed.
    """
    from hero.comparison.runs import is_finished
    from hero.runs.writer import Run

    processes = Processes.join()
    settings, origin = stored_settings(path), Origin.of(path)
    more = extension(settings, given)
    changes = more | {name: given[name] for name in MEMORY_SETTINGS if name in given}
    settings = with_memory_settings(settings, given)
    require_unchanged(path, settings, {name: value for name, value in given.items() if name not in changes})
    with _opened(path, lambda: Run.resume(path), processes) as run:
        if more:
            settings = replace(settings, **more)
            _require_work(run, settings.plan(), more)
        parts = build_parts(settings, origin, processes)
        if more or (changes and not is_finished(path)):
            run.extend(changes)
        with build.closing(parts.all_envs):
            changed = provenance.version_warning(origin.stored.get("versions", {}), parts.provenance["versions"])
            live.train(run, parts, log, start_up=loaded(), warning=changed)


@contextmanager
def _opened(path: Path, open_run: Callable[[], Run], processes: Processes) -> Iterator[Run | Replica]:
    """Opens a run in the first process, and then a replica of it in the others."""
    from hero.runs.replica import Replica

    if processes.is_first:
        with open_run() as run:
            processes.wait()
            yield run
    else:
        processes.wait()
        yield Replica(path)


def _unused(parent: Path, name: str) -> Path:
    """Returns the first of NAME, NAME-2, NAME-3 ... that does not exist."""
    return next(path for n in count(1) if not (path := parent / (name if n == 1 else f"{name}-{n}")).exists())


def _require_work(run: Run | Replica, plan: Plan, more: Mapping[str, Any]) -> None:
    """Refuses a longer run that is at its other limit already, or has stopped by itself."""
    from hero.metrics import why_stopped

    given = " ".join(f"{option(name)} {value}" for name, value in more.items())
    step, turns = progress(run.rows("steps"))
    if why := why_stopped(run.rows("evals")):
        raise ConfigError(
            f"{given} adds nothing: after {step} steps the run stopped by itself ({why}); start another run from its "
            f"best checkpoint with --model {shlex.quote(str(run.path))}"
        )
    if plan.is_done(step, turns):
        raise ConfigError(
            f"{given} adds nothing: after {step} steps and {turns} environment turns the run is at its limits of "
            f"{plan.steps or 'any'} steps and {plan.turn_budget or 'any'} turns; raise both"
        )
