"""What every text environment must pass. Run it in the tests of your adapter: `check_text_env(MyEnv)`.

Random play finds most breaches, not all: a check that needs the end of an episode, say, only runs if play gets there.
"""

from __future__ import annotations

import json
import math
import pickle
import random
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import CloudpickleWrapper

from hero.envs.base import AnyText, TextEnv
from hero.envs.validate import read_baseline
from hero.errors import HeroError
from hero.types import Tools

SEEDS: Final = (0, 1, 2)
STEPS: Final = 60
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

Step = tuple[str, SupportsFloat, bool, bool, dict[str, Any]]


def check_text_env(make: Callable[[], TextEnv]) -> None:
    """Checks that an environment keeps the contract of `TextEnv`.

    Args:
        make: builds the environment; is called several times.

    Raises:
        AssertionError: it does not; the message says what to do.
    """
    _check_declaration(make)
    _check_hostile_actions(make)
    _check_gymnasium(make)
    _check_tasks(make)
    for seed in SEEDS:
        _check_episode(make(), seed)
        _check_determinism(make, seed)
    _check_global_random(make)


def _require(holds: bool, message: str) -> None:
    # Not an assert statement, which `python -O` would drop.
    if not holds:
        raise AssertionError(message)


def _check_declaration(make: Callable[[], TextEnv]) -> None:
    env = make()
    _require(isinstance(env, TextEnv), f"make() must build a hero.envs.base.TextEnv, not a {type(env).__name__}")
    env_id = getattr(env, "env_id", None)
    _require(
        isinstance(env_id, str) and env_id != "", "set env_id on the class: the name of the environment in results"
    )
    count = getattr(env, "num_tasks", None)
    _require(type(count) is int and count > 0, f"num_tasks must be an int of at least 1, not {count!r}")
    _require(isinstance(env.instructions, str), f"instructions must be a str, not {env.instructions!r}")
    _require(
        env.tools is None or (isinstance(env.tools, Tools) and env.instructions != ""),
        f"tools must be None or hero.types.Tools, and the instructions must tell of them, not {env.tools!r}",
    )
    try:
        read_baseline(env.noop_reward(0))
    except ValueError as error:
        raise AssertionError(str(error)) from error
    provenance = env.provenance()
    try:
        plain = json.loads(json.dumps(provenance, allow_nan=False)) == provenance
    except (TypeError, ValueError, RecursionError):
        plain = False
    _require(
        plain and isinstance(provenance, dict) and isinstance(provenance.get("arguments", {}), dict),
        f"provenance must return a dict of plain JSON, its `arguments` a dict, too, not {provenance!r:.200}",
    )
    spaces = (env.observation_space, env.action_space)
    _require(all(isinstance(space, AnyText) for space in spaces), "call super().__init__(), which sets both spaces")
    try:
        pickle.dumps(CloudpickleWrapper(make))
    except Exception as error:
        raise AssertionError(
            f"make must be picklable, for vector environments in processes of their own: {error}"
        ) from error


def _check_gymnasium(make: Callable[[], TextEnv]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            # Alternative render modes need a registered environment, which this may not be.
            check_env(make(), skip_render_check=True)
        except Exception as error:
            # gymnasium colours its warnings.
            words = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
            raise AssertionError(f"gymnasium.utils.env_checker.check_env complains: {words}") from error


def _check_tasks(make: Callable[[], TextEnv]) -> None:
    env = make()
    names: dict[int, str] = {}
    for index in sorted({0, env.num_tasks // 2, env.num_tasks - 1}):
        first = env.reset(seed=0, options={"task": index})
        names[index] = first[1].get("task_id", "")
        _require(
            names[index] == env.reset(seed=1, options={"task": index})[1].get("task_id"),
            f"options={{'task': {index}}} must start the same task under every seed: task_id differs",
        )
    _require(len(set(names.values())) == len(names), f"different tasks must have different task_ids, not {names}")
    for index in (-1, env.num_tasks):
        try:
            env.reset(seed=0, options={"task": index})
        except HeroError:
            continue
        except Exception as error:
            found = f"raised {type(error).__name__}"
        else:
            found = "was accepted"
        raise AssertionError(
            f"reset(options={{'task': {index}}}) {found}; with {env.num_tasks} tasks it must raise a HeroError"
        )


def _check_global_random(make: Callable[[], TextEnv]) -> None:
    before = random.getstate(), pickle.dumps(np.random.get_state())
    env = make()
    _play(env, seed=0, actions=random.Random(0))
    after = random.getstate(), pickle.dumps(np.random.get_state())
    _require(before == after, "the global random state was changed: draw from self.np_random alone")


def _check_determinism(make: Callable[[], TextEnv], seed: int) -> None:
    expected = _play(make(), seed, random.Random(seed))
    bystander = make()
    # Were the environment to read global or shared state, this is what would show.
    states = random.getstate(), np.random.get_state()
    random.seed(seed + 12345)
    np.random.seed(seed + 12345)
    try:
        found = _play(make(), seed, random.Random(seed), between=lambda: bystander.reset(seed=99))
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        _require(
            left == right,
            f"equal seeds ({seed}) and actions gave different episodes at step {number}: {left!r} and {right!r}; "
            "draw everything from self.np_random and share no state between instances",
        )
    _require(len(expected) == len(found), f"equal seeds ({seed}) and actions gave episodes of different length")


def _check_hostile_actions(make: Callable[[], TextEnv]) -> None:
    env = make()
    for action in HOSTILE:
        shown = repr(action if len(action) < 40 else action[:20] + "...")
        start = env.reset(seed=0, options={"task": 0})
        _require(isinstance(start, tuple) and len(start) == 2, "reset must return (observation, info)")
        _check_public(*start, "after reset")
        try:
            step = env.step(action)
        except Exception as error:
            raise AssertionError(
                f"the action {shown} raised {error!r}; any string is a legal action: answer one that cannot be parsed "
                "with an observation, action_valid = False and words in feedback"
            ) from error
        _check_step(step, f"after the action {shown}")
        if action == GIBBERISH and start[1]["available_actions"]:
            _require(
                step[4]["action_valid"] is False,
                f"available_actions names what can be done, yet {shown} was valid: set action_valid = False for what "
                "cannot be parsed or had no effect",
            )


def _check_episode(env: TextEnv, seed: int) -> None:
    """Plays a whole episode of listed actions and checks all that it shows."""
    observation, info = env.reset(seed=seed)
    _check_public(observation, info, "after reset")
    actions = random.Random(seed)
    for number in range(STEPS):
        listed = info["available_actions"]
        action = actions.choice(listed) if listed else GIBBERISH
        step = env.step(action)
        observation, _, terminated, truncated, info = step
        _check_step(step, f"after step {number} ({action!r})")
        _require(
            not listed or info["action_valid"] is True,
            f"{action!r} was in available_actions, but action_valid is False: list only what works now",
        )
        if terminated or truncated:
            _require(
                type(info.get("success")) is bool,
                "the info of the last step must have success, a bool: was the task solved?",
            )
            _check_ended(env)
            return


def _check_ended(env: TextEnv) -> None:
    try:
        env.step(GIBBERISH)
    except ResetNeeded:
        return
    except Exception as error:
        raise AssertionError(f"a step after the end raised {error!r}; raise gymnasium.error.ResetNeeded") from error
    raise AssertionError("a step after the end of the episode went through; raise gymnasium.error.ResetNeeded")


def _check_step(step: Step, where: str) -> None:
    _require(isinstance(step, tuple) and len(step) == 5, "step must return observation, reward, two bools and info")
    observation, reward, terminated, truncated, info = step
    _check_public(observation, info, where)
    _require(
        isinstance(reward, int | float) and math.isfinite(reward),
        f"{where} the reward is {reward!r}, not a finite float",
    )
    _require(type(terminated) is bool and type(truncated) is bool, f"{where} terminated and truncated must be bools")
    _require(type(info.get("action_valid")) is bool, f"{where} info must have action_valid, a bool")
    feedback = info.get("feedback")
    _require(isinstance(feedback, str), f'{where} info must have feedback, a str: "" where there is nothing to say')
    if feedback:
        _require(
            feedback not in observation,
            f"{where} the observation holds the feedback {feedback!r}, which a policy must not see; keep it to info",
        )
    _require(
        info["action_valid"] or feedback != "",
        f"{where} action_valid is False and feedback is empty; say what was wrong",
    )


def _check_public(observation: str, info: Mapping[str, Any], where: str) -> None:
    _require(isinstance(observation, str), f"{where} the observation is a {type(observation).__name__}, not a str")
    task = info.get("task_id")
    _require(isinstance(task, str) and task != "", f"{where} info must have task_id, a non-empty str, not {task!r}")
    listed = info.get("available_actions")
    _require(
        isinstance(listed, list) and all(isinstance(action, str) for action in listed),
        f"{where} info must have available_actions, a list of str (empty where actions are free text), not {listed!r}",
    )
    for key, value in info.items():
        _require(
            _is_json(value), f"{where} info[{key!r}] is {value!r}, which JSON cannot carry; give plain Python values"
        )


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def _play(
    env: gymnasium.Env[str, str], seed: int, actions: random.Random, between: Callable[[], object] = lambda: None
) -> list[object]:
    """Everything that an episode shows: of a drawn task, under listed and hostile actions."""
    observation, info = env.reset(seed=seed)
    record: list[object] = [(observation, dict(info))]
    for _ in range(STEPS):
        between()
        listed = info.get("available_actions") or []
        step = env.step(actions.choice(listed if listed and actions.random() < 0.8 else HOSTILE))
        record.append(step)
        info = step[4]
        if step[2] or step[3]:
            break
    return record
