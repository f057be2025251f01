"""`hero eval`: evaluate a policy, with 95 % intervals."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError, RunError
from hero.look.entries import make_empty, write_evaluation

from . import build
from .interrupt import unmissable
from .model import CheckpointOption, ModelChoice, load_checkpoint
from .options import with_settings
from .played import make_env, warn_of_versions
from .provenance import run_dir_of
from .resolve import PLAYED, settings_to_play
from .settings import Settings
from .suite import evaluate_suite, refuse_idle
from .terminal import console, estimate, loading, progress_bars, report_errors, with_default, with_interval
from .usage import report_usage

if TYPE_CHECKING:
    from rich.console import Console

    from hero.evaluation import Evaluation
    from hero.outcomes import Outcome
    from hero.types import Trajectory

SUITE = "Held-out text"


@report_errors
@partial(with_settings, names=PLAYED, of_run=set(PLAYED) - {"device"})
def evaluate_command(
    given: dict[str, Any],
    context: typer.Context,
    policy: Annotated[
        str,
        typer.Argument(
            help="A run directory, or a model: tiny, tiny-taubench, a directory, hub name or GGUF file, or "
            "openai:MODEL, a model behind an endpoint."
        ),
    ],
    checkpoint: CheckpointOption = None,
    split: Annotated[str, typer.Option(help="Which tasks: train, validation or test.")] = "validation",
    tasks: Annotated[
        int | None,
        typer.Option(help=with_default("Number of tasks, from the first on.", "all"), show_default=False, min=1),
    ] = None,
    trials: Annotated[
        int, typer.Option(help="Episodes per task; with more than one, pass^k is reported.", min=1, max=1000)
    ] = 1,
    greedy: Annotated[bool, typer.Option("--greedy", help="Short for --temperature 0.")] = False,
    seed: Annotated[
        int, typer.Option(help="Seed of sampling; equal seeds give equal answers.", min=0, max=2**63 - 1)
    ] = 0,
    suite: Annotated[
        Path | None,
        typer.Option(
            help="Measure on this held-out text, and play no episodes: a .txt file, or a .jsonl file with a reply a "
            "line, as shown above.",
            rich_help_panel=SUITE,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=with_default("New directory for the episodes and the measures; hero view opens it.", "none"),
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print measures and all outcomes as JSON.")] = False,
) -> None:
    """Evaluate a policy, with 95 % intervals.

    Its environment, settings and chat arguments are those of its run, unless options name others.

    With --suite it is measured on held-out text: negative log-likelihood of the right replies, how many of them greedy
    decoding gives to the letter, and how many of its replies match a pattern. A run is measured at its start and at its
    checkpoint, which shows what it has forgotten. A line of a suite (kind and pattern can be left out):

    {"kind": "review", "messages": \\[{"role": "user", "content": "..."}], "reply": "...", "pattern": "useful|failed.*"}
    """
    if suite:
        refuse_idle(context, policy)
    if greedy and given.setdefault("temperature", 0.0):
        raise ConfigError(f"--greedy and --temperature {given['temperature']} contradict each other; give one of them")
    run = run_dir_of(policy)
    if checkpoint and not run:
        raise ConfigError(f"--checkpoint {checkpoint} does nothing with {policy}, which is not a run; leave it out")
    with loading(policy) as loaded:
        settings = settings_to_play(policy, run, given)
        model = ModelChoice.of(policy, given, checkpoint or "best")

        def begin() -> None:
            loaded()
            warn_of_versions(run, settings)

        if suite:
            evaluate_suite(suite, model, run, settings, as_json, begin)
            return
        if out:
            from hero.look.notes import require_outside

            require_outside(out)
            make_empty(out)
        played, has_tools, step = _play(settings, run, model, split, tasks, trials, seed, begin)
    from hero.evaluate import hopeless
    from hero.evaluation import Evaluation

    evaluation = Evaluation(tuple(outcome for _, outcome in played))
    record = {
        "policy": policy,
        "step": step,
        "env": settings.env,
        "env_args": settings.env_args,
        "split": split,
        "mode": "sampled" if settings.temperature else "greedy",
        "temperature": settings.temperature,
        "seed": seed,
        "trials": trials,
        **{name: getattr(settings, name) for name in ("max_turns", "max_tokens", "action_tokens", "dtype")},
        **evaluation.record(),
    }
    if out:
        write_evaluation(out, record, [trajectory for trajectory, _ in played])
        console(errors=True).print(f"{len(played)} episodes written to {out}", markup=False)
    if why := hopeless(evaluation.outcomes):
        raise RunError(why)
    if as_json:
        typer.echo(json.dumps(record))
        return
    name = policy if step is None else f"{policy} ({model.checkpoint} checkpoint, step {step})"
    title = f"{name} in {settings.env}, {split}, temperature {settings.temperature:g}"
    _print(console(), title, evaluation, has_tools)


@unmissable()
def _play(
    settings: Settings,
    run: Path | None,
    model: ModelChoice,
    split: str,
    num_tasks: int | None,
    trials: int,
    seed: int,
    begin: Callable[[], None],
) -> tuple[list[tuple[Trajectory, Outcome]], bool, int | None]:
    """Returns the episodes with their outcomes, whether the environment has tools, and the step of a run's checkpoint.

    Args:
        run: the run whose policy is evaluated; None for any other model.
        begin: is called when everything is loaded.
    """
    from hero.evaluate import play
    from hero.rollout import Task

    from .progress import episode_bar

    build.require_train_extra()
    build.use_threads(settings.threads)
    env, env_args = make_env(settings, run, split)
    if num_tasks is None:
        num_tasks = env.num_tasks
    elif num_tasks > env.num_tasks:
        raise ConfigError(f"--tasks {num_tasks}, but {split} has {env.num_tasks}; give fewer")
    envs = build.make_envs(settings.env, split, num_tasks * trials, env_args)
    lm, step = load_checkpoint(model, settings)
    policy = lm.policy(temperature=settings.temperature)
    begin()
    # The seed of an episode depends on its task and trial alone, so that more of either leave it as it is.
    seeds = [(index, index + trial * env.num_tasks) for index in range(num_tasks) for trial in range(trials)]
    tasks = [Task(index, episode_seed, episode_seed) for index, episode_seed in seeds]
    with build.closing([env, *envs]), progress_bars() as bars:
        played = play(
            envs,
            policy,
            tasks,
            max_turns=settings.max_turns,
            max_tokens=settings.max_tokens,
            seed=seed,
            on_turn=episode_bar(bars, "episodes", len(tasks), settings.max_turns),
        )
    report_usage(console(errors=True), (policy, *(each.unwrapped for each in envs)))
    return played, bool(env.tools), step


def _print(out: Console, title: str, evaluation: Evaluation, has_tools: bool) -> None:
    """Prints the measures, one per line, and pass^k where there were several trials."""
    invalid = "tool errors" if has_tools else "invalid actions"
    measures = {
        "success": estimate(evaluation.success.record(), percent=True),
        "score": estimate(evaluation.score.record()),
    }
    if evaluation.noop_reward is not None:
        measures["  no-op baseline"] = f"{evaluation.noop_reward:.1f}"
    measures |= {
        "turns per episode": estimate(evaluation.turns.record()),
        "valid actions": estimate(evaluation.valid_actions.record(), percent=True),
        f"{invalid} per episode": estimate(evaluation.invalid_actions.record()),
    }
    if evaluation.tool_calls is not None:
        measures["tool calls per episode"] = estimate(evaluation.tool_calls.record())
    for name, (mean, count) in evaluation.metrics.items():
        measures[f"metric {name}"] = f"{with_interval(mean, '.3g')}, of {count} episodes"
    if evaluation.trials > 1:
        measures |= {f"pass^{k}": f"{100 * evaluation.pass_hat(k):.1f} %" for k in range(1, evaluation.trials + 1)}
    if evaluation.errors:
        measures["errors"] = str(evaluation.errors)
    episodes = len(evaluation.outcomes)
    out.print(f"{title}: {episodes} episodes of {episodes // evaluation.trials} tasks (95 % intervals)", markup=False)
    for name, text in measures.items():
        out.print(f"{name:<27} {text}", markup=False)
