"""Checks of what an environment declares before it is played."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable

from gymnasium.utils.env_checker import check_env
from gymnasium.vector.utils import CloudpickleWrapper

from hero.deadline import time_limit
from hero.envs.base import TextEnv
from hero.envs.checks.shapes import MAX_SECONDS
from hero.envs.space import AnyText
from hero.envs.validate import read_baseline, read_provenance
from hero.errors import require
from hero.types import Tools


def check_declarations(make: Callable[[], TextEnv]) -> None:
    """Checks the attributes, the baseline, the provenance and the spaces."""
    env = make()
    require(isinstance(env, TextEnv), f"make() must build a hero.envs.base.TextEnv, not a {type(env).__name__}")
    env_id = getattr(env, "env_id", None)
    require(isinstance(env_id, str) and env_id != "", "set env_id on the class: the name of the environment in results")
    count = getattr(env, "num_tasks", None)
    require(type(count) is int and count > 0, f"num_tasks must be an int of at least 1, not {count!r}")
    require(isinstance(env.instructions, str), f"instructions must be a str, not {env.instructions!r}")
    require(
        env.tools is None or (isinstance(env.tools, Tools) and env.instructions != ""),
        f"tools must be None or hero.types.Tools, and the instructions must describe them, not {env.tools!r}",
    )
    try:
        read_baseline(env.noop_reward(0))
        read_provenance(env.provenance())
    except (TypeError, ValueError) as error:
        raise AssertionError(str(error)) from error
    spaces = (getattr(env, "observation_space", None), getattr(env, "action_space", None))
    require(all(isinstance(space, AnyText) for space in spaces), "call super().__init__(), which sets both spaces")


def check_picklable(make: Callable[[], TextEnv]) -> None:
    """Checks that vector environments can build the environment in other processes."""
    try:
        pickle.dumps(CloudpickleWrapper(make))
    except Exception as error:
        raise AssertionError(
            f"make must be picklable, for vector environments in processes of their own: {error}"
        ) from error


def check_gymnasium(make: Callable[[], TextEnv]) -> None:
    """Runs gymnasium's own checker, with its warnings as errors; what other packages warn of is not its business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=r".*\bWARN: ")  # all that gymnasium.logger warns of begins so
        try:
            # Alternative render modes need a registered environment, which this may not be.
            with time_limit(6 * MAX_SECONDS, "gymnasium's checker"):
                check_env(make(), skip_render_check=True)
        except Exception as error:
            words = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # gymnasium colours its warnings
            raise AssertionError(f"gymnasium.utils.env_checker.check_env complains: {words}") from error
