"""Checks of an environment by playing it, with listed and with hostile actions."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from gymnasium.error import ResetNeeded

from hero.envs.adapt import RandomFence
from hero.envs.base import TextEnv
from hero.envs.checks.shapes import check_start, check_step, shown_action, start_episode, take_step
from hero.errors import HeroError, require

SEEDS: Final = (0, 1, 2)
MAX_STEPS: Final = 60
"""Maximum number of steps of a played episode."""
GIBBERISH: Final = "qzx vjw 0417"
HOSTILE: Final = (
    "",
    " ",
    "\n",
    "\x00",
    "\\",
    "]" * 3 + "[" * 3,
    "{0} %s ${x}",
    '"; DROP TABLE tasks; --',
    "<|endoftext|>",
    "🛒 ﷽ ẞ İ ǆ",
    "e\u0301\u200b\u202e",
    "null",
    "-1",
    GIBBERISH,
    "(" * 5000,
    "a" * 100_000,
)
"""Actions that a policy may come up with. None of them may raise."""


def check_hostile_actions(make: Callable[[], TextEnv]) -> None:
    """Checks that no action raises, and that one without meaning is not valid."""
    env = make()
    for action in HOSTILE:
        start = start_episode(env, 0, 0)
        check_start(start, "after reset")
        step = take_step(env, action)
        check_step(step, f"after the action {shown_action(action)}")
        if action == GIBBERISH and start[1]["available_actions"]:
            require(
                step[4]["action_valid"] is False,
                f"available_actions names what can be done, yet {action!r} was valid: "
                "set action_valid = False for what cannot be parsed or had no effect",
            )


def check_tasks(make: Callable[[], TextEnv]) -> None:
    """Checks that a number always starts the same task, and that other numbers are refused."""
    env = make()
    names: dict[int, str] = {}
    for task in sorted({0, env.num_tasks // 2, env.num_tasks - 1}):
        names[task] = start_episode(env, 0, task)[1].get("task_id", "")
        require(
            names[task] == start_episode(env, 1, task)[1].get("task_id"),
            f"options={{'task': {task}}} must start the same task under every seed: task_id differs",
        )
    require(len(set(names.values())) == len(names), f"different tasks must have different task_ids, not {names}")
    for task in (-1, env.num_tasks):
        try:
            env.reset(seed=0, options={"task": task})
        except HeroError:
            continue
        except Exception as error:
            outcome = f"raised {type(error).__name__}"
        else:
            outcome = "was accepted"
        raise AssertionError(
            f"reset(options={{'task': {task}}}) {outcome}; with {env.num_tasks} tasks it must raise a HeroError"
        )


def check_episodes(make: Callable[[], TextEnv]) -> None:
    """Plays episodes of listed actions and checks every answer."""
    for seed in SEEDS:
        _check_episode(make(), seed)


def _check_episode(env: TextEnv, seed: int) -> None:
    start = start_episode(env, seed)
    check_start(start, "after reset")
    info = start[1]
    choices = random.Random(seed)
    for index in range(MAX_STEPS):
        listed = info["available_actions"]
        action = choices.choice(listed) if listed else GIBBERISH
        step = take_step(env, action)
        check_step(step, f"after step {index} ({action!r})")
        info = step[4]
        require(
            not listed or info["action_valid"] is True,
            f"{action!r} was in available_actions, but action_valid is False: list only what works now",
        )
        if step[2] or step[3]:
            check_ended(env)
            return


def check_ended(env: TextEnv) -> None:
    """Checks that an episode that is over takes no more steps."""
    try:
        env.step(GIBBERISH)
    except ResetNeeded:
        return
    except Exception as error:
        raise AssertionError(f"a step after the end raised {error!r}; raise gymnasium.error.ResetNeeded") from error
    raise AssertionError("a step after the end of the episode went through; raise gymnasium.error.ResetNeeded")


def check_determinism(make: Callable[[], TextEnv]) -> None:
    """Checks that equal seeds and actions give equal episodes, whatever else happens in the process."""
    for seed in SEEDS:
        _check_repeats(make, seed)


def _check_repeats(make: Callable[[], TextEnv], seed: int) -> None:
    expected = _play(make(), seed, random.Random(seed))
    bystander = make()
    # An environment that reads global or shared state would differ in the second episode.
    with RandomFence().inside(seed + 12345):
        repeated = _play(make(), seed, random.Random(seed), between=lambda: bystander.reset(seed=99))
    for index, (first, second) in enumerate(zip(expected, repeated, strict=False)):
        require(
            first == second,
            f"equal seeds ({seed}) and actions gave different episodes at step {index}: {first!r} and {second!r}; "
            "draw everything from self.np_random and share no state between instances",
        )
    require(len(expected) == len(repeated), f"equal seeds ({seed}) and actions gave episodes of different length")


def check_reuse(make: Callable[[], TextEnv]) -> None:
    """Checks that an instance that has played other episodes answers as one that has not."""
    used = make()
    for seed in SEEDS:
        require(
            _play(used, seed, random.Random(seed)) == _play(make(), seed, random.Random(seed)),
            f"an instance that was played before answers otherwise than a new one (seed {seed}): start each episode "
            "afresh in begin, and keep nothing of earlier ones",
        )


def check_global_random(make: Callable[[], TextEnv]) -> None:
    """Checks that building and playing leave the global random generators alone."""
    before = random.getstate(), pickle.dumps(np.random.get_state())
    _play(make(), seed=0, choices=random.Random(0))
    after = random.getstate(), pickle.dumps(np.random.get_state())
    require(before == after, "the global random state was changed: draw from self.np_random alone")


def _play(env: TextEnv, seed: int, choices: random.Random, between: Callable[[], object] = lambda: None) -> list[Any]:
    """Returns all answers of an episode of a drawn task, under listed and hostile actions."""
    observation, info = start_episode(env, seed)
    answers: list[Any] = [(observation, dict(info))]
    for _ in range(MAX_STEPS):
        between()
        listed = info.get("available_actions") or []
        step = take_step(env, choices.choice(listed if listed and choices.random() < 0.8 else HOSTILE))
        answers.append(step)
        info = step[4]
        if step[2] or step[3]:
            break
    return answers
