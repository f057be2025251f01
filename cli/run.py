"""`hero run`: train a policy, and see whether it got better."""

from __future__ import annotations

import json
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError

from .interrupt import asked_to_stop, unmissable
from .settings import Settings, default, parse_env_args, settings_of, stored_settings
from .terminal import INTERRUPTED, console, polite, with_default

if TYPE_CHECKING:
    from hero.store import Run


class TeacherWeights(StrEnum):
    """Choices of --teacher."""

    EMA = "ema"
    LIVE = "live"
    FROZEN = "frozen"


class Divergence(StrEnum):
    """Choices of --divergence."""

    REVERSE_KL = "reverse_kl"
    FORWARD_KL = "forward_kl"
    JENSEN_SHANNON = "jensen_shannon"


def option(name: str, help: str, *, panel: str, **limits: Any) -> Any:
    """An option of a setting, with the default that it has in `Settings`."""
    return typer.Option(help=with_default(help, default(name)), show_default=False, rich_help_panel=panel, **limits)


WHAT, HOW_LONG, LEARNING, PLAYING, MACHINE = "What", "How long", "Learning", "Playing and evaluating", "Machine"


@polite
def run(
    context: typer.Context,
    env: Annotated[str | None, option("env", "Environment to learn in.", panel=WHAT)] = None,
    env_arg: Annotated[
        list[str] | None,
        typer.Option(
            help="Argument of the environment as key=value, the value read as JSON or else as text, such as level=hard "
            "or data=DIR. Repeat it for several.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    model: Annotated[
        str | None,
        option(
            "model",
            "Starting policy: tiny or tiny-taubench, which ship with the package, or a directory, hub name or GGUF "
            "file.",
            panel=WHAT,
        ),
    ] = None,
    learner: Annotated[
        str | None,
        option(
            "learner",
            "distill: towards what the policy would have done with hindsight. grpo: rewards alone.",
            panel=WHAT,
        ),
    ] = None,
    reflector: Annotated[
        str | None,
        option(
            "reflector",
            "Writes the diagnoses. self: the policy itself. rules: no model. feedback: the next observation as it is.",
            panel=WHAT,
        ),
    ] = None,
    steps: Annotated[int | None, option("steps", "Optimiser steps.", panel=HOW_LONG, min=0)] = None,
    turn_budget: Annotated[
        int | None,
        option(
            "turn_budget",
            "Begin no step once training has used so many environment turns, the unit in which methods are compared. "
            "Without --steps the only limit.",
            panel=HOW_LONG,
            min=0,
        ),
    ] = None,
    learning_rate: Annotated[float | None, option("learning_rate", "Of AdamW.", panel=LEARNING)] = None,
    teacher: Annotated[
        TeacherWeights | None,
        option(
            "teacher",
            "Weights that read the hindsight: a moving average, the current ones, those of the start.",
            panel=LEARNING,
        ),
    ] = None,
    divergence: Annotated[
        Divergence | None, option("divergence", "Between student and teacher, per token.", panel=LEARNING)
    ] = None,
    episodes: Annotated[int | None, option("episodes", "Episodes per step.", panel=LEARNING, min=1)] = None,
    group_size: Annotated[
        int | None, option("group_size", "Episodes per task; grpo compares them.", panel=LEARNING, min=1)
    ] = None,
    temperature: Annotated[
        float | None, option("temperature", "Of sampling, in training and in the sampled evaluation.", panel=PLAYING)
    ] = None,
    max_turns: Annotated[
        int | None, option("max_turns", "Turns after which an episode is cut.", panel=PLAYING, min=1)
    ] = None,
    action_tokens: Annotated[
        int | None, option("action_tokens", "Tokens after which an action is cut.", panel=PLAYING, min=1)
    ] = None,
    reflection_tokens: Annotated[
        int | None,
        option("reflection_tokens", "Tokens after which a diagnosis of --reflector self is cut.", panel=PLAYING, min=1),
    ] = None,
    eval_tasks: Annotated[
        int | None,
        option(
            "eval_tasks",
            "Validation tasks per evaluation, played once sampled and once greedily.",
            panel=PLAYING,
            min=1,
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        option("eval_every", "Steps between evaluations; start and end are always evaluated.", panel=PLAYING, min=1),
    ] = None,
    seed: Annotated[int | None, option("seed", "Equal seeds give equal runs.", panel=MACHINE, min=0)] = None,
    threads: Annotated[
        int | None, option("threads", "Processor threads; another number rounds differently.", panel=MACHINE, min=1)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=with_default("New directory for the run.", "runs/ENV-LEARNER-seedN"),
            show_default=False,
            rich_help_panel=MACHINE,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, with its settings.", rich_help_panel=MACHINE)
    ] = False,
) -> None:
    """Train a policy on what it did, and see it get better.

    Plays episodes, has every turn judged with hindsight, and teaches the policy what it would have done had it known.
    Evaluates on validation tasks before, meanwhile and after. Everything is kept in a run directory, and a run that was
    stopped, by Ctrl-C or worse, goes on with --resume as if it had not been.
    """
    given = {
        name: str(value) if isinstance(value, StrEnum) else value  # a plain text, which any reader knows
        for name, value in context.params.items()
        if value is not None and name not in ("env_arg", "out", "resume")
    }
    if env_arg:
        given["env_args"] = parse_env_args(env_arg)
    if resume:
        _resume(out, given)
    else:
        _start(out, settings_of(given))


def _start(out: Path | None, settings: Settings) -> None:
    """Builds everything and only then the run directory, so that a mistake leaves nothing behind."""
    from hero.store import Run, refuse_held

    path = out or _free(Path("runs"), f"{settings.env}-{settings.learner}-seed{settings.seed}")
    refuse_held(path)
    parts = _build(settings)
    with Run.create(path, settings.record()) as held:
        _go(held, settings, parts)


def _resume(out: Path | None, given: dict[str, Any]) -> None:
    from hero.store import Run

    if out is None:
        raise ConfigError("--resume says not which run; give its directory with --out")
    settings = stored_settings(out)
    with Run.resume(out, given) as held:
        _go(held, settings, _build(settings))


def _free(parent: Path, name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3 ... that is not there yet."""
    return next(path for n in count(1) if not (path := parent / (name if n == 1 else f"{name}-{n}")).exists())


@unmissable()
def _build(settings: Settings) -> dict[str, Any]:
    """The blocks of a run, the model last, since it takes longest."""
    from . import build

    build.require_train_extra()
    build.check_names(settings)
    build.use_threads(settings.threads)
    envs = build.make_envs(settings.env, "train", settings.episodes, settings.env_args)
    eval_envs = build.make_envs(settings.env, "validation", settings.eval_tasks, settings.env_args)
    if settings.eval_tasks > (there_are := eval_envs[0].num_tasks):
        raise ConfigError(f"--eval-tasks {settings.eval_tasks}, but there are {there_are} validation tasks; give fewer")
    lm = build.load_model(settings.model)
    return {
        "envs": envs,
        "eval_envs": eval_envs,
        "learner": build.make_learner(settings, lm),
        "reflector": build.make_reflector(settings, lm),
        "objective": build.make_objective(settings),
    }


def _go(held: Run, settings: Settings, parts: dict[str, Any]) -> None:
    """Trains and tells; leaves with exit code 130 where Ctrl-C stopped it."""
    from hero.train import Training

    from .curve import draw_curve
    from .progress import Display, Log
    from .report import report

    out, plan = console(), settings.plan()
    title = f"{settings.learner} of {settings.model} in {settings.env}"
    rows = held.rows("steps")
    started, used = (rows[-1]["step"], rows[-1]["turns"]) if rows else (0, 0)
    view = Display(out, plan, started, used) if out.is_terminal else Log(out, plan)
    finished = False
    try:
        with asked_to_stop(lambda: view.tell("stopping after this step; Ctrl-C again stops at once")) as asked:
            view.tell(f"{title}; writing {held.path}")
            with view:
                finished = Training(run=held, plan=plan, observer=view, **parts).go(asked)
    except KeyboardInterrupt:
        pass
    if rows := held.rows("evals"):
        try:
            draw_curve(held.path / "curve.png", rows, title)
        except OSError as error:
            view.warned(f"no learning curve: cannot write {held.path / 'curve.png'}: {error.strerror or error}")
    if not finished:
        console(errors=True).print(f"stopped; go on with: hero run --resume --out {held.path}", markup=False)
        raise typer.Exit(INTERRUPTED)
    report(out, held.path, json.loads((held.path / "summary.json").read_text()), held.rows("timings"))
