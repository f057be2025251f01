"""Checks of the labels that measure diagnoses, `TextEnv.is_right`."""

from __future__ import annotations

import random
from collections.abc import Callable

from hero.envs.base import TextEnv
from hero.envs.checks.played import GIBBERISH, HOSTILE, MAX_STEPS, SEEDS
from hero.envs.checks.shapes import start_episode, take_step
from hero.errors import require
from hero.types import Action, Message, Stop, Trajectory, Turn


def check_labels(make: Callable[[], TextEnv]) -> None:
    """Checks that labels are a bool or None, need the trajectory alone, and leave an episode under way as it is."""
    for seed in SEEDS:
        _check_episode(make(), make(), make(), seed)


def _check_episode(env: TextEnv, fresh: TextEnv, undisturbed: TextEnv, seed: int) -> None:
    """Labels every turn of an episode while it is played.

    Args:
        fresh: is never played.
        undisturbed: plays the same episode without being asked for labels.
    """
    choices = random.Random(seed)
    observation, info = start_episode(env, seed)
    start_episode(undisturbed, seed)
    turns: list[Turn] = []
    for index in range(MAX_STEPS):
        action = choices.choice(info["available_actions"] or [GIBBERISH])
        step = take_step(env, action)
        require(
            step == take_step(undisturbed, action),
            f"step {index} ({action!r}) had another answer because is_right was asked before it; change nothing there",
        )
        turns.append(Turn((Message("user", observation),), Action(action), step[0], float(step[1])))
        observation, info = step[0], step[4]
        trajectory = Trajectory(env.env_id, info["task_id"], seed, tuple(turns), Stop.MAX_TURNS)
        for other in (action, choices.choice(HOSTILE)):
            label = _label(env, trajectory, other)
            require(
                label == _label(fresh, trajectory, other),
                f"an instance that did not play the episode says otherwise about {other!r:.40} than one that did; let "
                "is_right read the task_id and the turns of the trajectory alone",
            )
        if step[2] or step[3]:
            return


def _label(env: TextEnv, trajectory: Trajectory, action: str) -> bool | None:
    """Returns the label of an action at the last turn."""
    try:
        label = env.is_right(trajectory, len(trajectory.turns) - 1, action)
    except Exception as error:
        raise AssertionError(
            f"is_right raised {error!r} about {action!r:.40}; any string may be asked about: return False, or None "
            "where the hidden state leaves it open"
        ) from error
    require(label is None or type(label) is bool, f"is_right must return True, False or None, not {label!r}")
    return label
