"""What a text environment is: a gymnasium.Env whose observations and actions are strings."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import gymnasium
import numpy as np
from gymnasium import spaces

from hero.errors import ConfigError
from hero.types import JSON, Tools


class AnyText(spaces.Space[str]):
    """Every string. gymnasium's own `Text` has a fixed alphabet and length, and rejects a blank.

    Samples are short strings of printable ASCII.
    """

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=np.str_, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        if mask is not None or probability is not None:
            raise ValueError("AnyText takes neither a mask nor a probability")
        length = int(self.np_random.integers(0, 33))
        return "".join(map(chr, self.np_random.integers(32, 127, size=length)))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText)

    def __hash__(self) -> int:
        return hash(AnyText)

    def __repr__(self) -> str:
        return "AnyText()"


class TextEnv(gymnasium.Env[str, str]):
    """Base of all text environments; `hero.envs.contract.check_text_env` says whether yours keeps the contract.

    Any string is a legal action: one that cannot be parsed costs something, and never raises. All randomness comes
    from `self.np_random`: equal seeds and actions give equal episodes whatever else the process does.

    `reset(seed=, options={"task": i})` starts task i of the split, 0 <= i < `num_tasks`; without the option the task
    is drawn. `info` carries `task_id`, `available_actions` (a list of strings, may be empty), after a step
    `action_valid` and `feedback` (privileged words about the action, "" for none), and at the end `success`. With
    tools, `tool_call` says after a step whether the action called one.
    """

    env_id: str
    """Names the environment in results, such as `webshop`; what is behind a slash says which kind of it."""
    instructions: str = ""
    """How to act here, in words: the system message of a policy. "" for none."""
    tools: Tools | None = None
    """The tools that the instructions tell of, for chats that have a form of their own for tools."""
    split: str = ""
    """Which tasks they are; "" where there is but one set."""
    num_tasks: int
    """Number of tasks in the split that the environment was built with."""
    defaults: ClassVar[Mapping[str, JSON]] = {}
    """Settings of `hero run` whose defaults are others in this environment, such as `{"max_turns": 30}`."""
    gymnasium_id: ClassVar[str] = ""
    """The id under which `hero.envs.register` makes it known to gymnasium, such as `hero/WebShop-v0`; "" for none."""

    def __init__(self) -> None:
        self.observation_space = AnyText()
        self.action_space = AnyText()

    def noop_reward(self, task: int) -> float | None:
        """The reward of an episode of that task in which nothing is done: the baseline of every score on it.

        None where it is not known without playing.
        """
        return None

    def readable(self, observation: str) -> str:
        """Returns an observation as a person reads it best; the policy is given the observation itself."""
        return observation

    def provenance(self) -> dict[str, JSON]:
        """Everything from the surroundings that decides what this environment is, as plain JSON; {} for nothing.

        A run stores it at the start and compares it when it is resumed. The optional key `arguments` holds constructor
        arguments that pin what was taken from the surroundings, such as an absolute `data` path that came from an
        environment variable: the resumed run builds the environment with them. All other values, such as a hash of
        the data or the model and address of an endpoint, have to be equal then. They are printed: leave secrets out.
        """
        return {}

    def chosen_task(self, options: dict[str, Any] | None) -> int:
        """The number of the task that the options of `reset` name, or else a drawn one; call it after `super().reset`.

        Raises:
            ConfigError: the task is out of range, or there are other options.
        """
        options = options or {}
        if unknown := sorted(set(options) - {"task"}):
            raise ConfigError(f"reset options are 'task' alone, not {', '.join(map(repr, unknown))}")
        task = options.get("task")
        if task is None:
            return int(self.np_random.integers(self.num_tasks))
        try:
            number = -1 if isinstance(task, bool) else operator.index(task)
        except TypeError:
            number = -1
        if not 0 <= number < self.num_tasks:
            where = f" ({self.split})" if self.split else ""
            raise ConfigError(f"task {task!r} is not an integer from 0 to {self.num_tasks - 1}{where}")
        return number


class _Worn(gymnasium.Wrapper[str, str, str, str]):
    """An environment in wrappers, with all of its attributes within reach."""

    def __getattr__(self, name: str) -> Any:
        return self.env.get_wrapper_attr(name)


def text_env(env: gymnasium.Env[str, str]) -> TextEnv:
    """Returns an environment that may be in gymnasium's wrappers as one whose attributes can be read.

    Raises:
        ConfigError: it is not a text environment.
    """
    if isinstance(env, TextEnv | _Worn):
        return cast("TextEnv", env)
    needed = ("env_id", "instructions", "tools", "num_tasks", "noop_reward")
    missing = [name for name in needed if not (isinstance(env, gymnasium.Env) and env.has_wrapper_attr(name))]
    if missing:
        raise ConfigError(
            f"{env!r} is not a text environment: it has no {', '.join(missing)}; derive it from hero.envs.base.TextEnv"
        )
    return cast("TextEnv", _Worn(env))
