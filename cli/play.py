"""`hero play`: see with your own eyes what a policy sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError

from .arguments import read_arguments
from .settings import Settings
from .terminal import console, report_errors, with_default

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hero.envs.base import TextEnv

MAX_ACTIONS = 40
"""Maximum number of actions that are listed."""
BLANK = "[...]"
"""End of an action that takes any words."""


@report_errors
def play(
    env: Annotated[str, typer.Option(help="Environment.")] = Settings().env,
    env_arg: Annotated[
        list[str] | None,
        typer.Option(help=with_default("Option of the environment, key=value.", "none"), show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="Which tasks: train, validation or test.")] = "train",
    task: Annotated[
        int | None, typer.Option(help=with_default("Number of the task.", "a random one"), show_default=False, min=0)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help=with_default("Seed of the environment.", "random"), show_default=False, min=0)
    ] = None,
) -> None:
    """Play an environment yourself: type an action, or the number of one. Ctrl-D leaves."""
    from .build import closing, make_envs

    (game,) = make_envs(env, split, 1, read_arguments("env_args", env_arg or []))
    if task is not None and task >= game.num_tasks:
        raise ConfigError(f"--task {task}, but {split} has {game.num_tasks}; give 0 to {game.num_tasks - 1}")
    out = console()
    try:
        with closing([game]):
            _episode(out, game, {} if task is None else {"task": task}, seed)
    except (EOFError, KeyboardInterrupt):
        out.print("\ngood bye")


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
    out.print(f"reward {total:.3f}, {'a success' if info.get('success') else 'not a success'}")
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
