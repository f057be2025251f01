"""`hero eval`: how good is a policy, and how sure is that."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError, DataError, RunError
from hero.runs.reader import read_config

from . import build
from .arguments import read_arguments
from .interrupt import unmissable
from .provenance import as_it_was, of_env, other_versions, require_same, run_of, versions
from .settings import Settings, settings_of, stored_settings
from .terminal import console, estimate, log_shown, polite, with_default

if TYPE_CHECKING:
    from rich.console import Console

    from hero.evaluate import Evaluation
    from hero.policy import Policy
    from hero.types import Turn


@polite
def evaluate_command(
    policy: Annotated[
        str,
        typer.Argument(
            help="A run directory (its newest checkpoint), or a model: tiny, tiny-taubench, a directory, hub name or "
            "GGUF file."
        ),
    ],
    chat_arg: Annotated[
        list[str] | None,
        typer.Option(
            help=with_default("Variable of the model's chat template, key=value.", "the run's, or none"),
            show_default=False,
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option(help=with_default("Environment.", "the run's, or webshop"), show_default=False)
    ] = None,
    env_arg: Annotated[
        list[str] | None,
        typer.Option(
            help=with_default("Argument of the environment, key=value.", "the run's, or none"), show_default=False
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which tasks: train, validation or test.")] = "validation",
    tasks: Annotated[
        int | None, typer.Option(help=with_default("The first so many tasks.", "all"), show_default=False, min=1)
    ] = None,
    trials: Annotated[
        int, typer.Option(help="How often each task is played; with several, pass^k is told.", min=1, max=1000)
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(
            help=with_default("Of sampling; 0 is greedy.", f"the run's, or {Settings().temperature}"),
            show_default=False,
            min=0,
        ),
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Short for --temperature 0.")] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal answers.", min=0, max=2**63 - 1)] = 0,
) -> None:
    """Evaluate a policy, with 95 % intervals."""
    if greedy and temperature:
        raise ConfigError(f"--greedy and --temperature {temperature} contradict each other; give one of them")
    path = run_of(policy)
    settings = stored_settings(path) if path else settings_of({"model": policy} | ({"env": env} if env else {}))
    given: dict[str, Any] = {"env": env, "temperature": 0.0 if greedy else temperature}
    if env_arg or env:
        given["env_args"] = read_arguments("env_args", env_arg or [])
    settings = replace(settings, **{name: value for name, value in given.items() if value is not None})
    then = read_config(path).provenance if path else {}
    home = {} if "env_args" in given else then.get("env", {})
    model = build.Wanted(policy, read_arguments("chat_args", chat_arg or []))
    if other := other_versions(then.get("versions", {}), versions(settings)):
        console(errors=True).print(f"warning: {other}", style="yellow", markup=False)
    result, calls_tools = _play(settings, path, home, model, split, tasks, trials, seed)
    from hero.evaluate import hopeless

    if why := hopeless(result.outcomes):
        raise RunError(why)
    title = f"{policy} in {settings.env}, {split}, temperature {settings.temperature:g}"
    _tell(console(), title, result, "tool errors" if calls_tools else "invalid actions")


@unmissable()
def _play(
    settings: Settings,
    run: Path | None,
    home: Mapping[str, Any],
    model: build.Wanted,
    split: str,
    tasks: int | None,
    trials: int,
    seed: int,
) -> tuple[Evaluation, bool]:
    """The evaluation, and whether it is of an environment with tools.

    Args:
        run: whose policy it is; None for a model that is not of a run.
        home: what the environment of the run was; empty where it is evaluated elsewhere.
    """
    from rich.progress import Progress

    from hero.evaluate import evaluate
    from hero.rollout import Task

    from .progress import Endings

    build.require_train_extra()
    build.use_threads(settings.threads)
    arguments = settings.env_args | home.get("arguments", {})
    with as_it_was(run, "env", DataError) if run and home else nullcontext():
        (env,) = build.make_envs(settings.env, split, 1, arguments)
    if run and home:
        require_same(run, "env", home, of_env(env))
    count = env.num_tasks if tasks is None else tasks
    if count > env.num_tasks:
        raise ConfigError(f"--tasks {count}, but {split} has {env.num_tasks}; give fewer")
    envs = build.make_envs(settings.env, split, count * trials, arguments)
    acting = _policy(settings, model)
    numbered = [(index, index + trial * env.num_tasks) for index in range(count) for trial in range(trials)]
    wanted = [Task(index, number, number) for index, number in numbered]
    with (
        Progress(console=console(errors=True), transient=True) as bars,
        log_shown(lambda text: bars.console.print(f"warning: {text}", style="yellow", markup=False)),
    ):
        bar, endings = bars.add_task("episodes", total=len(wanted)), Endings(settings.max_turns)

        def turned(place: int, turn: Turn) -> None:
            if endings.ended(place, turn):
                bars.advance(bar)

        result = evaluate(envs, acting, wanted, max_turns=settings.max_turns, seed=seed, on_turn=turned)
        return result, bool(env.tools)


def _policy(settings: Settings, model: build.Wanted) -> Policy:
    lm = build.load_model(model)
    return build.ShortReplies(lm, settings.action_tokens).policy(temperature=settings.temperature)


def _tell(out: Console, title: str, result: Evaluation, invalid: str) -> None:
    """The measures as a table, pass^k where there were several trials.

    Args:
        invalid: what invalid actions are called.
    """
    rows = {"success": estimate(result.success.record(), percent=True), "score": estimate(result.score.record())}
    if result.noop_reward is not None:
        rows["  no-op baseline"] = f"{result.noop_reward:.1f}"
    rows |= {
        "turns per episode": estimate(result.turns.record()),
        "valid actions": estimate(result.valid_actions.record(), percent=True),
        f"{invalid} per episode": estimate(result.invalid_actions.record()),
    }
    if result.tool_calls is not None:
        rows["tool calls per episode"] = estimate(result.tool_calls.record())
    if result.trials > 1:
        rows |= {f"pass^{k}": f"{100 * result.pass_hat(k):.1f} %" for k in range(1, result.trials + 1)}
    if result.errors:
        rows["errors"] = str(result.errors)
    episodes = len(result.outcomes)
    out.print(f"{title}: {episodes} episodes of {episodes // result.trials} tasks (95 % intervals)", markup=False)
    for name, text in rows.items():
        out.print(f"{name:<27} {text}", markup=False)
