"""Start or resume a run, and show how it goes."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from hero.callback import Callback, expendable
from hero.errors import ConfigError, DataError, UnavailableError
from hero.processes import Processes
from hero.runs.reader import MEMORY_SETTINGS, progress, read_config, read_summary

from . import build, provenance
from .gpu_memory import GPUMemory
from .interrupt import asked_to_stop, unmissable
from .logs import LogKind, open_log
from .main import INTERRUPTED
from .model import ModelChoice, load_model, require_weights, with_model_defaults
from .out_of_memory import is_out_of_memory, less_memory, without_advice
from .resolve import extension, require_unchanged, stored_settings, with_memory_settings
from .same_start import require_same_start, why_other_start
from .settings import Settings, option
from .terminal import console, show_log, warn_on_error
from .usage import report_usage

if TYPE_CHECKING:
    from hero.plan import Plan
    from hero.runs.replica import Replica
    from hero.runs.writer import Run


T = TypeVar("T")


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
    settings, components, now, memory, gpu = _build(path, settings, settings.model, provenance.today(), {}, processes)
    not_taken = ""
    if same_start_as and (changes := why_other_start(same_start_as, settings, now)):
        not_taken = f"{same_start_as} started otherwise, so that its evaluation is made here again: {changes}"
    else:
        components["same_start_as"] = same_start_as
    with (
        build.closing([*components["envs"], *components["eval_envs"]]),
        _opened(path, lambda: Run.create(path, settings.record(), now), processes) as run,
    ):
        _train(run, settings, components, log, loaded(), memory, gpu, not_taken)


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
    settings, stored = stored_settings(path), read_config(path).provenance
    more = extension(settings, given)
    changes = more | {name: given[name] for name in MEMORY_SETTINGS if name in given}
    settings = with_memory_settings(settings, given)
    require_unchanged(path, settings, {name: value for name, value in given.items() if name not in changes})
    with _opened(path, lambda: Run.resume(path), processes) as run:
        if more:
            settings = replace(settings, **more)
            _require_work(run, settings.plan(), more)
        date = stored.get("date", provenance.today())
        source = provenance.model_source(path)
        settings, components, now, memory, gpu = _build(path, settings, source, date, stored, processes)
        if more or (changes and not is_finished(path)):
            run.extend(changes)
        with build.closing([*components["envs"], *components["eval_envs"]]):
            changed = provenance.version_warning(stored.get("versions", {}), now["versions"])
            _train(run, settings, components, log, loaded(), memory, gpu, changed)


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


@unmissable()
def _build(
    path: Path, settings: Settings, source: str, date: str, stored: Mapping[str, Any], processes: Processes
) -> tuple[Settings, dict[str, Any], dict[str, Any], build.MemoryNote, GPUMemory]:
    """Builds the components of a run, what takes long last.

    It returns the settings with what the model brings, the components, their provenance, the memory that training
    takes, and what measures that of a GPU.

    Args:
        source: where to load the model from.
        date: the date that chat templates write as today.
        stored: the provenance of the run that is resumed; empty for a new one.
        processes: those that share the work, which must have the same data and model.
    """
    build.require_train_extra()
    build.check_components(settings)
    build.use_threads(settings.threads)
    arguments = settings.env_args | stored.get("env", {}).get("arguments", {})
    with provenance.explain_missing(path, "env", DataError) if stored else nullcontext():
        envs, eval_envs = (
            build.make_envs(settings.env, split, math.ceil(count / processes.size), arguments)
            for split, count in (("train", settings.episodes), ("validation", settings.eval_tasks))
        )
    if settings.eval_tasks > (num_tasks := eval_envs[0].num_tasks):
        raise ConfigError(f"--eval-tasks {settings.eval_tasks}, but there are {num_tasks} validation tasks; give fewer")
    build.load_rules(envs[0])
    if stored:
        provenance.require_same(path, "env", stored["env"], provenance.env_provenance(envs[0]))
        with provenance.explain_missing(path, "model", ConfigError, DataError):
            now = provenance.model_provenance(source)
        provenance.require_same(path, "model", stored["model"], now)
    learner = build.make_learner(settings)
    choice = ModelChoice(source, settings.chat_args, date, device=settings.device, dtype=settings.dtype)
    lm = load_model(choice, settings)
    require_weights(lm, source)
    settings = with_model_defaults(settings, lm)
    build.use_adapter(settings.record(), lm)
    memory = build.require_memory(settings, lm, processes) if settings.steps != 0 else build.MemoryNote("", fits=True)
    if settings.serve:
        lm = build.served(lm, settings.serve, processes)
    with provenance.explain_missing(path, "reflector", ConfigError) if stored.get("reflector") else nullcontext():
        reflector = build.make_reflector(settings, lm)
    components = {
        "envs": envs,
        "eval_envs": eval_envs,
        "learner": learner,
        "reflector": reflector,
        "trainer": build.make_trainer(settings, lm, processes),
        "processes": processes,
    }
    now = provenance.run_provenance(settings, source, envs[0], reflector, date, lm.model.device.type)
    if stored:
        provenance.require_same(path, "reflector", stored.get("reflector", {}), now["reflector"])
    provenance.require_equal(processes.gather([now]))
    return settings, components, now, memory, GPUMemory(lm.model.device)


def _train(
    run: Run | Replica,
    settings: Settings,
    components: dict[str, Any],
    log: LogKind,
    seconds: float,
    memory: build.MemoryNote,
    gpu: GPUMemory,
    warning: str,
) -> None:
    """Trains, and in the first process reports.

    It exits with code 130 if Ctrl-C stopped the run, with 2 if a service was given up.

    Args:
        seconds: wall-clock time since the command began.
        memory, warning: are shown first; a text that is "" is not.
        gpu: measures the memory of each phase, and knows the current one.
    """
    from hero.train import Training

    from .progress import PHASES, LiveDisplay, LogLines

    is_first, plan = components["processes"].is_first, settings.plan()
    out = console() if is_first else console(silent=True)
    title = f"{settings.learner} of {settings.model} in {settings.env}"
    view = LiveDisplay(out, plan, *progress(run.rows("steps"))) if out.is_interactive else LogLines(out, plan)
    finished, code, error, less = False, INTERRUPTED, "", ""
    with show_log(view.on_warning):
        try:
            with asked_to_stop(lambda: view.note("stopping after this step; Ctrl-C again stops at once")) as asked:
                with warn_on_error("the display failed"):
                    view.note(f"{title}; writing {run.path}")
                    if memory.text:
                        (view.note if memory.fits else view.on_warning)(memory.text)
                    if warning:
                        view.on_warning(warning)
                written = open_log(log if is_first else "none", run, settings)
                with _entered(view, "the display failed"), _entered(written, f"--log {log} failed") as writer:
                    callback = expendable(view, writer or Callback(), gpu)
                    finished = Training(run_dir=run, plan=plan, callback=callback, start_up=seconds, **components).run(
                        asked
                    )
        except KeyboardInterrupt:
            pass
        except UnavailableError as unavailable:
            code, error = 2, str(unavailable)
        except (RuntimeError, MemoryError) as full:
            if not is_out_of_memory(full):
                raise
            code, less = 2, less_memory(settings, gpu.phase)
            remedy = f"{less} takes less" if less else "go on where there is more, or start a run of a smaller model"
            error = f"no memory left while {PHASES.get(gpu.phase, 'loading')}: {without_advice(full)}; {remedy}"
        if is_first:
            gpu.end_phase()
            _report(run, title, finished, gpu.peaks)
            envs = (env.unwrapped for env in (*components["envs"], *components["eval_envs"]))
            report_usage(out, (components["reflector"], *envs))
    if not finished:
        errors = console(errors=True)
        if error:
            errors.print(f"error: {error}", style="red", markup=False)
        if is_first:
            again = ("" if log == "none" else f" --log {log}") + (f" {less}" if less else "")
            errors.print(
                f"stopped; go on with: hero run --resume --out {shlex.quote(str(run.path))}{again}", markup=False
            )
        raise typer.Exit(code)


def _report(run: Run | Replica, title: str, finished: bool, gpu_gib: Mapping[str, float]) -> None:
    """Draws the learning curve and, at the end of a run, prints the report; a failure of either is a warning."""
    from . import curve
    from .report import report

    if rows := run.rows("evals"):
        with warn_on_error(f"no learning curve: cannot write {run.path / 'curve.png'}"):
            curve.draw_curve(run.path / "curve.png", rows, title)
    if finished:
        with warn_on_error("no report"):
            report(console(), run.path, read_summary(run.path), run.rows("steps"), run.rows("timings"), gpu_gib)


@contextmanager
def _entered(manager: AbstractContextManager[T], what: str) -> Iterator[T | None]:
    """Enters a context manager for the block, with its value or None; a failure of it is a warning."""
    stack, value = ExitStack(), None
    with warn_on_error(what):
        value = stack.enter_context(manager)
    try:
        yield value
    finally:
        with warn_on_error(what):
            stack.close()
