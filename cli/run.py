"""`hero run`: train a policy, and see whether it got better."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hero.errors import ConfigError

from . import training
from .arguments import parse_chat_args, parse_env_args
from .settings import default, settings_of
from .terminal import polite, with_default


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
            "Starting policy: tiny or tiny-taubench, which ship with the package, a directory, hub name or GGUF file, "
            "or a run directory, whose newest checkpoint it is.",
            panel=WHAT,
        ),
    ] = None,
    chat_arg: Annotated[
        list[str] | None,
        typer.Option(
            help="Variable of the model's chat template as key=value, read as --env-arg is, such as "
            "enable_thinking=false. Repeat it for several.",
            rich_help_panel=WHAT,
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
    teacher_thoughts: Annotated[
        bool | None,
        option("teacher_thoughts", "Show the teacher what the policy thought in earlier turns.", panel=LEARNING),
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
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out, with its settings; more --steps or --turn-budget make it longer.",
            rich_help_panel=MACHINE,
        ),
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
        if value is not None and name not in ("env_arg", "chat_arg", "out", "resume")
    }
    if env_arg:
        given["env_args"] = parse_env_args(env_arg)
    if chat_arg:
        given["chat_args"] = parse_chat_args(chat_arg)
    if not resume:
        training.start(out, settings_of(given))
    elif out is None:
        raise ConfigError("--resume says not which run; give its directory with --out")
    else:
        training.resume(out, given)
