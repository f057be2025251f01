"""`hero warm`: a small base for an environment, from scripted demonstrations."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hero.errors import ConfigError, translate_errors
from hero.fingerprint import fingerprint

from . import build
from .arguments import read_arguments
from .env import load_function
from .resolve import env_settings, settings_of
from .terminal import console, loading, report_errors, warn, with_default

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hero.envs.base import TextEnv
    from hero.models.language_model import LanguageModel
    from hero.warm.recipe import Recipe

SETTINGS = "warm.json"
EVAL_TASKS = 50
"""Largest number of validation tasks that the base plays after each phase."""
LEAST_SKILL = 0.5
"""Success after the first phase below which the base does not know the environment."""


@report_errors
def warm(
    env: Annotated[str, typer.Option(help="Name, gym:ID or module:Class of the environment.")],
    script: Annotated[
        str, typer.Option(help="module:function of a player that plays well: from the messages to an action.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for the model.")],
    env_arg: Annotated[
        list[str] | None,
        typer.Option(help=with_default("Option of the environment, key=value.", "none"), show_default=False),
    ] = None,
    habit: Annotated[
        str | None,
        typer.Option(
            help=with_default("module:function of a careless player.", "actions at random"), show_default=False
        ),
    ] = None,
    careless: Annotated[
        float, typer.Option(help="Share of careless actions that the base imitates.", min=0, max=1)
    ] = 0.9,
    max_turns: Annotated[
        int | None,
        typer.Option(help=with_default("Turns of an episode.", "the environment's"), show_default=False, min=1),
    ] = None,
    skill_steps: Annotated[int, typer.Option(help="Steps in which it learns to play.", min=1)] = 600,
    habit_steps: Annotated[int, typer.Option(help="Steps in which it becomes careless.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of weights and demonstrations.")] = 0,
    threads: Annotated[
        int | None, typer.Option(help=with_default("CPU threads.", "all processors"), show_default=False, min=1)
    ] = None,
) -> None:
    """Make a small base for your environment, in minutes and without a GPU.

    It knows how to play, reviews its episodes and follows advice, but acts carelessly: that is what hero run can then
    teach it. A script plays training tasks, with mistakes; what it would have done instead is the advice. After Ctrl-C
    the same command goes on at the last finished phase.
    """
    with loading(env):
        build.require_train_extra()
        given: dict[str, Any] = env_settings(env, read_arguments("env_args", env_arg or []))
        given |= {
            name: value for name, value in {"max_turns": max_turns, "threads": threads}.items() if value is not None
        }
        settings = settings_of(given)
        build.use_threads(settings.threads)
        (game,) = build.make_envs(settings.env, "train", 1, settings.env_args)
        games = build.make_envs(settings.env, "validation", EVAL_TASKS, settings.env_args)
        player, sloppy = load_function("--script", script), habit and load_function("--habit", habit)
        sources = fingerprint(*_sources(player, sloppy, game, getattr(getattr(game, "env", None), "unwrapped", None)))
        asked = {**given, "script": script, "habit": habit, "careless": careless, "skill_steps": skill_steps,
                 "habit_steps": habit_steps, "seed": seed, "sources": sources}  # fmt: skip
        _require_free(out, asked)
        from hero.warm.demonstrations import Demonstrations

    screen = console()
    with build.closing([game, *games]):
        screen.print(f"playing {game.env_id} by {script}", markup=False)
        shown = Demonstrations.of(game, player, sloppy or None, settings.max_turns, seed)
        recipe = shown.recipe(careless=careless, skill_steps=skill_steps, habit_steps=habit_steps)
        out.mkdir(parents=True, exist_ok=True)
        (out / SETTINGS).write_text(json.dumps(asked, indent=1), "utf-8")

        def play(lm: LanguageModel) -> float:
            lm.max_new_tokens = settings.action_tokens or lm.max_new_tokens
            return _success(lm, games, settings.max_turns)

        _train(recipe, out, seed, play)
    for state in out.glob("phase-*.pt"):
        state.unlink()
    options = ["--env", env, *(word for item in env_arg or [] for word in ("--env-arg", item))]
    where = shlex.join([*options, *(["--max-turns", str(max_turns)] if max_turns else []), "--model", str(out)])
    screen.print(f"next     hero check {where}", markup=False, soft_wrap=True)
    screen.print(f"         hero run {where}", markup=False, soft_wrap=True)


def _sources(*parts: Any) -> list[Path]:
    """Returns the files that hold the players and the environment, as far as they are known."""
    modules = (sys.modules.get(getattr(part, "__module__", "")) for part in parts)
    return sorted({Path(file) for module in modules if (file := getattr(module, "__file__", None))})


def _require_free(out: Path, settings: dict[str, Any]) -> None:
    """Checks that a directory is empty, or holds what the same command left there.

    Raises:
        ConfigError: it holds something else, or a model that is finished.
    """
    stored = out / SETTINGS
    if (out / "model.safetensors").exists():
        raise ConfigError(f"{out} holds a model already; give another --out")
    if not stored.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError(f"{out} is not an empty directory; give another --out")
        return
    with translate_errors(ConfigError, f"cannot read {stored}; give another --out"):
        before = json.loads(stored.read_text("utf-8"))
    if before != settings:
        changed = sorted(key for key in before.keys() | settings.keys() if before.get(key) != settings.get(key))
        raise ConfigError(
            f"{out} was begun with other options or scripts ({', '.join(changed)}; see {stored}); give those, or "
            "another --out"
        )


def _success(lm: LanguageModel, games: Sequence[TextEnv], max_turns: int) -> float:
    """Returns the success of a base on some validation tasks, played greedily."""
    from hero.evaluate import evaluate
    from hero.rollout import Task

    tasks = [Task(index, index) for index in range(min(EVAL_TASKS, games[0].num_tasks))]
    return evaluate(games, lm.policy(temperature=0.0), tasks, max_turns=max_turns).success.value


def _train(recipe: Recipe, out: Path, seed: int, play: Callable[[LanguageModel], float]) -> None:
    """Trains by the recipe, with a bar for each phase, and reports what the base can do after it.

    Args:
        play: returns the success of a base.
    """
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from hero.warm.recipe import Phase

    screen = console()
    columns = (*Progress.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bars:
        tasks = {phase.name: bars.add_task(phase.name, total=phase.steps, facts="") for phase in recipe.phases}

        def show(phase: Phase, step: int, loss: float, right: float) -> None:
            facts = f"loss {loss:.3f}, {100 * right:.1f} % of the tokens right"
            bars.update(tasks[phase.name], completed=step, facts=facts)
            if not screen.is_terminal and (step % 100 == 0 or step == phase.steps):
                screen.print(f"{phase.name}  step {step} of {phase.steps}  {facts}", markup=False)

        def report(phase: Phase, lm: LanguageModel) -> None:
            success = play(lm)
            screen.print(f"{phase.name}  solves {100 * success:.0f} % of the validation tasks", markup=False)
            if phase.name == "skill" and success < LEAST_SKILL:
                warn(
                    screen,
                    f"below {100 * LEAST_SKILL:.0f} % it may not know what is right, and hindsight teaches only what a "
                    "model knows; give more --skill-steps, or an easier environment",
                )

        recipe.make(out, seed=seed, on_step=show, on_phase_end=report)
