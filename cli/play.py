"""`hero play`: see with your own eyes what a policy sees."""

from __future__ import annotations

from functools import partial
from random import randrange
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError, RunError
from hero.types import Stop

from .model import ModelChoice
from .options import with_settings
from .provenance import run_dir_of
from .resolve import PLAYED, settings_of, settings_to_play
from .settings import Settings, option
from .terminal import console, loading, report_errors, with_default

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from hero.envs.base import TextEnv
    from hero.types import Turn

MAX_ACTIONS = 40
"""Maximum number of actions that are listed."""
BLANK = "[...]"
"""End of an action that takes any words."""
LIMITS = {
    Stop.TRUNCATED: "the environment's limit",
    Stop.MAX_TURNS: "the limit of turns",
    Stop.MAX_TOKENS: "the context of the policy",
}
"""Limits at which an episode stops that has not ended by itself."""


@report_errors
@partial(with_settings, names=PLAYED, of_run=set(PLAYED) - {"device"})
def play(
    given: dict[str, Any],
    policy: Annotated[
        str | None,
        typer.Option(
            help=with_default(
                "Watch a policy play: a run directory, tiny, tiny-taubench, a directory, hub name or GGUF file, or "
                "openai:MODEL, a model behind an endpoint.",
                "you play",
            ),
            show_default=False,
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which tasks: train, validation or test.")] = "train",
    task: Annotated[
        int | None, typer.Option(help=with_default("Number of the task.", "a random one"), show_default=False, min=0)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=with_default("Seed of the environment.", "random"), show_default=False, min=0)
    ] = None,
) -> None:
    """Play an environment yourself: type an action, or the number of one. Ctrl-D leaves.

    Or watch a policy play, with --policy; with --temperature 0 it is greedy.
    """
    from .build import closing
    from .played import make_env, warn_of_versions

    if policy is None and (idle := [name for name in given if name not in ("env", "env_args")]):
        raise ConfigError(f"{option(idle[0])} does nothing without --policy; add that, or leave it out")
    with loading(policy or given.get("env") or Settings().env) as loaded:
        run = run_dir_of(policy) if policy else None
        settings = settings_to_play(policy, run, given) if policy else settings_of(given)
        game, _ = make_env(settings, run, split)
        if task is not None and task >= game.num_tasks:
            raise ConfigError(f"--task {task}, but {split} has {game.num_tasks}; give 0 to {game.num_tasks - 1}")
        out = console()

        def begin() -> None:
            loaded()
            warn_of_versions(run, settings)

        try:
            with closing([game]):
                if policy is None:
                    begin()
                    _episode(out, game, {} if task is None else {"task": task}, seed)
                else:
                    _watch(out, game, ModelChoice.of(policy, given), settings, task, seed, begin)
        except (EOFError, KeyboardInterrupt):
            out.print("\ngood bye")


def _watch(
    out: Console,
    game: TextEnv,
    model: ModelChoice,
    settings: Settings,
    task: int | None,
    seed: int | None,
    begin: Callable[[], None],
) -> None:
    """Has a policy play, and shows each page with its action.

    Args:
        begin: is called when everything is loaded.
    """
    from hero.rollout import Task, rollout

    from .build import require_train_extra, use_threads
    from .model import load_model

    if not model.source.startswith("openai:"):
        require_train_extra()
    use_threads(settings.threads)
    policy = load_model(model, settings).policy(temperature=settings.temperature)
    begin()
    index = randrange(game.num_tasks) if task is None else task
    chosen = Task(index, randrange(2**31) if seed is None else seed)
    out.print(game.instructions, style="dim", markup=False)
    out.print(f"task {index}, seed {chosen.seed}", style="dim", markup=False)

    def show(_: int, turn: Turn) -> None:
        out.print("─" * 40, style="dim")
        out.print(game.readable(turn.prompt[-1].content), markup=False)
        out.print(f"{model.source}> {turn.action.text}", style="cyan", markup=False)
        if not turn.info.get("action_valid", True):
            out.print(f"not valid: {turn.feedback or 'nothing happened'}", style="yellow", markup=False)

    (played,) = rollout(
        [game],
        policy,
        [chosen],
        max_turns=settings.max_turns,
        max_tokens=settings.max_tokens,
        seed=chosen.seed,
        on_turn=show,
    )
    if played.error:
        raise RunError(f"the environment failed: {played.error}")
    if not played.turns:
        raise RunError("the first prompt and the longest action do not fit the context of the policy; shorten actions")
    last = played.turns[-1]
    out.print("─" * 40, style="dim")
    out.print(game.readable(last.observation), markup=False)
    if played.stop is not Stop.TERMINATED:
        out.print(f"{LIMITS[played.stop]} ended the episode", style="yellow")
    _print_result(out, played.reward, last.info)


def _episode(out: Console, game: TextEnv, options: dict[str, Any], seed: int | None) -> None:
    observation, info = game.reset(seed=seed, options=options)
    out.print(game.instructions, style="dim", markup=False)
    out.print(f"task {info['task_id']}", style="dim", markup=False)
    total, ended, truncated = 0.0, False, False
    while not (ended or truncated):
        available = info["available_actions"]
        _show(out, game.readable(observation), available)
        action = _chosen(out.input("action> "), available)
        if action.endswith(BLANK):  # such as search[...]
            action = action.removesuffix(BLANK) + f"[{out.input('words> ')}]"
        observation, reward, ended, truncated, info = game.step(action)
        total += float(reward)
        if not info["action_valid"]:
            out.print(f"not valid: {info['feedback'] or 'nothing happened'}", style="yellow", markup=False)
    out.print(f"\n{game.readable(observation)}", markup=False)
    if truncated and not ended:
        out.print("a turn limit ended the episode", style="yellow")
    _print_result(out, total, info)


def _print_result(out: Console, reward: float, info: Mapping[str, Any]) -> None:
    out.print(f"reward {reward:.3f}, {'a success' if info.get('success') else 'not a success'}")
    for name, value in info.get("metrics", {}).items():
        out.print(f"  {name} {value}", markup=False)


def _show(out: Console, observation: str, available: Sequence[str]) -> None:
    out.print("─" * 40, style="dim")
    out.print(observation, markup=False)
    for number, action in enumerate(available[:MAX_ACTIONS], 1):
        out.print(f"{number:>4}  {action}", style="cyan", markup=False)
    if len(available) > MAX_ACTIONS:
        out.print(f"      and {len(available) - MAX_ACTIONS} more", style="dim")


def _chosen(typed: str, available: Sequence[str]) -> str:
    """Returns the action that was typed, in full or by its number."""
    text = typed.strip()
    if text.isdecimal() and 1 <= int(text) <= len(available):
        return available[int(text) - 1]
    return text
