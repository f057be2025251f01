"""Train, show how it goes, and report how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import typer

from hero.callback import Callback, expendable
from hero.errors import UnavailableError
from hero.runs.reader import progress, read_summary

from .interrupt import asked_to_stop
from .logs import LogKind, open_log
from .main import INTERRUPTED
from .out_of_memory import is_out_of_memory, less_memory, without_advice
from .parts import Parts
from .terminal import console, show_log, warn_on_error
from .usage import report_usage

if TYPE_CHECKING:
    from hero.runs.replica import Replica
    from hero.runs.writer import Run

    from .progress import LiveDisplay, LogLines

T = TypeVar("T")


class Stopped(NamedTuple):
    """Says why a run is not finished.

    Attributes:
        code: exit code of the command.
        error: what went wrong; "" after Ctrl-C.
        option: one with which it may go on; "" if none is needed or known.
    """

    code: int = INTERRUPTED
    error: str = ""
    option: str = ""


def train(
    run: Run | Replica,
    parts: Parts,
    log: LogKind,
    *,
    start_up: float,
    warning: str,
    same_start_as: Path | None = None,
) -> None:
    """Trains, and in the first process shows how it goes and reports.

    It exits with code 130 if Ctrl-C stopped the run, and with 2 if a service was given up or no memory is left.

    Args:
        start_up: wall-clock seconds since the command began.
        warning: is shown first; "" for none.
        same_start_as: as in `hero.train.Training`.
    """
    from hero.train import Training

    from .progress import LiveDisplay, LogLines

    settings, is_first, plan = parts.settings, parts.processes.is_first, parts.settings.plan()
    out = console() if is_first else console(silent=True)
    title = f"{settings.learner} of {settings.model} in {settings.env}"
    view = LiveDisplay(out, plan, *progress(run.rows("steps"))) if out.is_interactive else LogLines(out, plan)
    finished = False

    def go(asked: Callable[[], bool]) -> None:
        nonlocal finished  # set before the display and the log close, which a second Ctrl-C may interrupt
        with warn_on_error("the display failed"):
            view.note(f"{title}; writing {run.path}")
            if parts.memory.text:
                (view.note if parts.memory.fits else view.on_warning)(parts.memory.text)
            if warning:
                view.on_warning(warning)
        written = open_log(log if is_first else "none", run, settings)
        with _entered(view, "the display failed"), _entered(written, f"--log {log} failed") as writer:
            training = Training(
                run_dir=run,
                plan=plan,
                trainer=parts.trainer,
                reflector=parts.reflector,
                learner=parts.learner,
                envs=parts.envs,
                eval_envs=parts.eval_envs,
                callback=expendable(view, writer or Callback(), parts.gpu),
                processes=parts.processes,
                start_up=start_up,
                same_start_as=same_start_as,
            )
            finished = training.run(asked)

    with show_log(view.on_warning):
        stopped = _stoppable(go, view, parts)
        if is_first:
            parts.gpu.end_phase()
            _report(run, title, finished, parts.gpu.peaks)
            report_usage(out, (parts.reflector, *(env.unwrapped for env in parts.all_envs)))
    if not finished:
        errors = console(errors=True)
        if stopped.error:
            errors.print(f"error: {stopped.error}", style="red", markup=False)
        if is_first:
            again = ("" if log == "none" else f" --log {log}") + (f" {stopped.option}" if stopped.option else "")
            errors.print(
                f"stopped; go on with: hero run --resume --out {shlex.quote(str(run.path))}{again}", markup=False
            )
        raise typer.Exit(stopped.code)


def _stoppable(go: Callable[[Callable[[], bool]], None], view: LiveDisplay | LogLines, parts: Parts) -> Stopped:
    """Trains, and returns why it ended, if the run is not finished.

    Args:
        go: trains until the run is finished or its argument returns True.
    """
    try:
        with asked_to_stop(lambda: view.note("stopping after this step; Ctrl-C again stops at once")) as asked:
            go(asked)
    except KeyboardInterrupt:
        pass
    except UnavailableError as unavailable:
        return Stopped(2, str(unavailable))
    except (RuntimeError, MemoryError) as full:
        if not is_out_of_memory(full):
            raise
        return _out_of_memory(full, parts)
    return Stopped()


def _out_of_memory(full: BaseException, parts: Parts) -> Stopped:
    """Returns that no memory was left in the current phase, and the option that takes less there."""
    from .progress import PHASES

    phase = parts.gpu.phase
    option = less_memory(parts.settings, phase)
    remedy = f"{option} takes less" if option else "go on where there is more, or start a run of a smaller model"
    error = f"no memory left while {PHASES.get(phase, 'loading')}: {without_advice(full)}; {remedy}"
    return Stopped(2, error, option)


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
