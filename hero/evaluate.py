"""Plays a policy to evaluate it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from hero.evaluation import Evaluation
from hero.outcomes import Outcome

if TYPE_CHECKING:
    import gymnasium

    from hero.policy import Policy
    from hero.rollout import Task
    from hero.types import Trajectory


def evaluate(
    envs: Sequence[gymnasium.Env[str, str]],
    policy: Policy,
    tasks: Sequence[Task],
    *,
    max_turns: int,
    max_tokens: int | None = None,
    seed: int = 0,
    on_turn: Callable[..., None] | None = None,
) -> Evaluation:
    """Plays tasks and evaluates how they ended; a task that is given several times is played as often.

    The arguments are those of `rollout`.
    """
    played = play(envs, policy, tasks, max_turns=max_turns, max_tokens=max_tokens, seed=seed, on_turn=on_turn)
    return Evaluation(tuple(outcome for _, outcome in played))


def play(
    envs: Sequence[gymnasium.Env[str, str]],
    policy: Policy,
    tasks: Sequence[Task],
    *,
    max_turns: int,
    max_tokens: int | None = None,
    seed: int = 0,
    on_turn: Callable[..., None] | None = None,
) -> list[tuple[Trajectory, Outcome]]:
    """Plays tasks as `evaluate` does, and returns each episode with its outcome, in order of the tasks."""
    from hero.envs.base import text_env
    from hero.envs.validate import read_baseline
    from hero.rollout import rollout

    env = text_env(envs[0])
    noop_rewards = [read_baseline(env.noop_reward(task.index)) for task in tasks]
    trajectories = rollout(envs, policy, tasks, max_turns=max_turns, max_tokens=max_tokens, seed=seed, on_turn=on_turn)
    return [(each, Outcome.of(each, noop)) for each, noop in zip(trajectories, noop_rewards, strict=True)]


def hopeless(outcomes: Iterable[Outcome]) -> str:
    """Returns the reason why no episode says anything about the policy, and the remedy; "" if an episode does.

    One episode that ended in an error, or before its first turn, is data. Where all of them did, something is broken.
    """
    outcomes = list(outcomes)
    if any(outcome.turns and not outcome.error for outcome in outcomes):
        return ""
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors:
        all_failed = len(errors) == len(outcomes)
        failed, others = ("each", "") if all_failed else (f"{len(errors)}", ", and the others had no turn")
        return (
            f"{failed} of {len(outcomes)} episodes ended in an error{others}, the first in: {errors[0]}; "
            "fix the environment"
        )
    return (
        f"none of {len(outcomes)} episodes had a turn: their first prompts and the longest action do not fit the "
        "model's context; shorten actions, or take a model with a longer context"
    )
