"""Starting, resuming and telling a run, once its settings are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hero.errors import ConfigError, DataError, UnavailableError
from hero.runs.reader import read_config, read_summary

from . import build, provenance
from .interrupt import asked_to_stop, unmissable
from .main import INTERRUPTED
from .settings import Settings, extension, stored_settings
from .terminal import console, log_shown, optional

if TYPE_CHECKING:
    from hero.plan import Plan
    from hero.runs.writer import Run

    from .progress import Log


def start(out: Path | None, settings: Settings) -> None:
    """Builds everything and only then the run directory, so that a mistake leaves nothing behind."""
    from hero.runs.writer import Run, require_empty

    path = out or _free(Path("runs"), f"{settings.env}-{settings.learner}-seed{settings.seed}")
    require_empty(path)
    parts, here = _build(path, settings, settings.model, provenance.today(), {})
    with Run.create(path, settings.record(), here) as held:
        _go(held, settings, parts)


def resume(path: Path, given: dict[str, Any]) -> None:
    """Goes on with a run on what it was started on, or not at all; longer where more steps or turns are given."""
    from hero.runs.writer import Run

    settings, then = stored_settings(path), read_config(path).provenance
    more = extension(settings, given)
    with Run.resume(path, {name: value for name, value in given.items() if name not in more}) as held:
        if more:
            settings = replace(settings, **more)
            _require_work(settings.plan(), more, held.rows("steps"))
        parts, here = _build(path, settings, provenance.source_of(path), then.get("date", provenance.today()), then)
        if more:
            held.extend(more)
        _go(held, settings, parts, provenance.other_versions(then.get("versions", {}), here["versions"]))


def _free(parent: Path, name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is not there yet."""
    return next(path for n in count(1) if not (path := parent / (name if n == 1 else f"{name}-{n}")).exists())


def _require_work(plan: Plan, more: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuses a longer run that would end where it is, by its other limit."""
    step, turns = (rows[-1]["step"], rows[-1]["turns"]) if rows else (0, 0)
    if plan.is_done(step, turns):
        given = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in more.items())
        raise ConfigError(
            f"{given} adds nothing: after {step} steps and {turns} environment turns the run is at its limits of "
            f"{plan.steps or 'any'} steps and {plan.turn_budget or 'any'} turns; raise both"
        )


@unmissable()
def _build(
    path: Path, settings: Settings, source: str, date: str, then: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The blocks of a run, the model last, since it takes longest; and what they come to here.

    Args:
        source: where the model is to be loaded from.
        date: what templates are shown as today.
        then: what they came to where a run that is resumed was started; empty for a new one.
    """
    build.require_train_extra()
    build.check_components(settings)
    build.use_threads(settings.threads)
    arguments = settings.env_args | then.get("env", {}).get("arguments", {})
    with provenance.as_it_was(path, "env", DataError) if then else nullcontext():
        envs = build.make_envs(settings.env, "train", settings.episodes, arguments)
        eval_envs = build.make_envs(settings.env, "validation", settings.eval_tasks, arguments)
    if settings.eval_tasks > (there_are := eval_envs[0].num_tasks):
        raise ConfigError(f"--eval-tasks {settings.eval_tasks}, but there are {there_are} validation tasks; give fewer")
    if then:
        provenance.require_same(path, "env", then["env"], provenance.of_env(envs[0]))
        with provenance.as_it_was(path, "model", ConfigError, DataError):
            now = provenance.of_model(source)
        provenance.require_same(path, "model", then["model"], now)
    lm = build.load_model(build.Wanted(source, settings.chat_args, date))
    parts = {
        "envs": envs,
        "eval_envs": eval_envs,
        "trainer": build.make_trainer(settings, lm),
        "reflector": build.make_reflector(settings, lm),
        "learner": build.make_learner(settings),
    }
    return parts, provenance.surroundings(settings, source, envs[0], date, lm.model.device.type)


def _go(held: Run, settings: Settings, parts: dict[str, Any], warning: str = "") -> None:
    """Trains and tells; leaves with exit code 130 where Ctrl-C stopped it, with 2 where a service was given up."""
    from hero.train import Training

    from . import curve
    from .progress import Display, Log
    from .report import report

    out, plan = console(), settings.plan()
    title = f"{settings.learner} of {settings.model} in {settings.env}"
    rows = held.rows("steps")
    started, used = (rows[-1]["step"], rows[-1]["turns"]) if rows else (0, 0)
    view = Display(out, plan, started, used) if out.is_interactive else Log(out, plan)
    finished, code, why = False, INTERRUPTED, ""
    with log_shown(view.on_warning):
        try:
            with asked_to_stop(lambda: view.tell("stopping after this step; Ctrl-C again stops at once")) as asked:
                with optional("the display failed"):
                    view.tell(f"{title}; writing {held.path}")
                    if warning:
                        view.on_warning(warning)
                with _shown(view):
                    finished = Training(run_dir=held, plan=plan, callback=view, **parts).run(asked)
        except KeyboardInterrupt:
            pass
        except UnavailableError as error:
            code, why = 2, str(error)
        if rows := held.rows("evals"):
            with optional(f"no learning curve: cannot write {held.path / 'curve.png'}"):
                curve.draw_curve(held.path / "curve.png", rows, title)
        if finished:
            with optional("no report"):
                report(out, held.path, read_summary(held.path), held.rows("timings"))
    if not finished:
        errors = console(errors=True)
        if why:
            errors.print(f"error: {why}", style="red", markup=False)
        errors.print(f"stopped; go on with: hero run --resume --out {held.path}", markup=False)
        raise typer.Exit(code)


@contextmanager
def _shown(view: Log) -> Iterator[None]:
    """Shows a view during the block, if that works."""
    stack = ExitStack()
    with optional("the display failed"):
        stack.enter_context(view)
    try:
        yield
    finally:
        with optional("the display failed"):
            stack.close()
