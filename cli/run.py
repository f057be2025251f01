"""`hero run`: train a policy, and see whether it got better."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hero.errors import ConfigError

from . import training
from .config_file import read_config_file
from .logs import LogKind, require_package
from .options import with_settings
from .resolve import settings_of
from .settings import MACHINE, PLAYING, Settings
from .terminal import loading, report_errors, with_default


@report_errors
@with_settings
def run(
    given: dict[str, Any],
    out: Annotated[
        Path | None,
        typer.Option(
            help=with_default("New directory for the run.", "runs/ENV-LEARNER-seedN"),
            show_default=False,
            rich_help_panel=MACHINE,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with settings, such as learning_rate = 1e-4; those of the command line take precedence.",
            show_default=False,
            rich_help_panel=MACHINE,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --out, with its settings; more --steps or --turn-budget make it longer, and "
            "--gradient-checkpointing and other --micro-batch-tokens and --kv-cache-gib change its memory.",
            rich_help_panel=MACHINE,
        ),
    ] = False,
    same_start_as: Annotated[
        Path | None,
        typer.Option(
            help="Take over the evaluation before training from this run, which must start with the same policy, seed "
            "and validation tasks, instead of playing it again.",
            metavar="RUN",
            show_default=False,
            rich_help_panel=PLAYING,
        ),
    ] = None,
    log: Annotated[
        LogKind,
        typer.Option(
            help="tensorboard: also write metrics, evaluations and alarms for TensorBoard, into the directory log of "
            "the run. wandb: send them to Weights & Biases, or keep them there with WANDB_MODE=offline.",
            metavar="NAME",
            rich_help_panel=MACHINE,
        ),
    ] = "none",
) -> None:
    """Train a policy on what it did, and see it get better.

    Plays episodes, has every turn judged with hindsight, and teaches the policy what it would have done had it known.
    Evaluates on validation tasks before, meanwhile and after. Everything is kept in a run directory, and a run that was
    stopped, by Ctrl-C or worse, goes on with --resume as if it had not been.
    """
    require_package(log)
    if config:
        given = read_config_file(config) | given
    if resume and out is None:
        raise ConfigError("--resume needs --out, the directory of the run")
    if resume and same_start_as:
        raise ConfigError("--same-start-as does nothing with --resume; leave it out")
    with loading(str(out) if resume else given.get("model") or given.get("env") or Settings().env) as loaded:
        if resume and out:
            training.resume(out, given, log, loaded)
        else:
            training.start(out, settings_of(given), log, loaded, same_start_as)
