"""The base class of text environments: a gymnasium.Env whose observations and actions are strings."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast, final

import gymnasium
from gymnasium.error import ResetNeeded

from hero.envs.space import AnyText
from hero.envs.validate import brief, require_one_of
from hero.errors import ConfigError
from hero.types import JSON, Tools, Trajectory


@dataclass(slots=True)  # not frozen, which would make a step of WebShop 4 % slower
class StepResult:
    """An environment's answer to one action.

    Attributes:
        terminated: the task is over.
        truncated: the episode is cut off, though the task is not over. A turn limit is not for the environment to
            keep: `rollout(max_turns=)` or gymnasium's `TimeLimit` does.
        action_valid: False for an action that cannot be parsed or has no effect.
        feedback: privileged words about the action, for reflectors and teachers; "" for none.
        success: whether the task was solved; needed at the end of an episode, None before.
        metrics: finite numbers to report about the whole episode, by name; read at its end alone.
        tool_call: whether the action called a tool; None for an environment without tools.
        info: more public facts for `info`, such as `available_actions`.
    """

    observation: str
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    action_valid: bool = True
    feedback: str = ""
    success: bool | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    tool_call: bool | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


class TextEnv(gymnasium.Env[str, str]):
    """Base of all text environments: write `begin` and `apply`, and call `super().__init__()`.

    `hero.envs.contract.check_text_env` checks an environment. Any string is a legal action: one that cannot be parsed
    costs something, and never raises. All randomness comes from `self.np_random`: equal seeds and actions give equal
    episodes whatever else the process does.

    `reset(seed=, options={"task": i})` starts task i of the split, 0 <= i < `num_tasks`; without the option the task
    is drawn. `info` has `task_id` and `available_actions` (a list of strings, may be empty), after a step
    `action_valid`, `feedback` and with tools `tool_call`, and at the end `success` and, if there are any, `metrics`.

    Args:
        render_mode: `ansi` for `render` to return the last observation; None for nothing.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 (gymnasium types it so)
    env_id: str
    """Name of the environment in results, such as `webshop`; a part after a slash names the variant."""
    instructions: str = ""
    """How to act here, in words: the system message of a policy. "" for none."""
    tools: Tools | None = None
    """The tools that the instructions describe, for chat templates that write tools themselves."""
    split: str = ""
    """Name of the set of tasks; "" where there is only one."""
    num_tasks: int
    """Number of tasks in the split that the environment was built with."""
    waits: bool = False
    """Whether a step waits for something outside of this process, so that each episode is played in a thread."""
    step_timeout: float = 600.0
    """Seconds after which a `reset` or `step` of a rollout is given up, which ends the episode; see `hero.deadline`."""
    defaults: ClassVar[Mapping[str, JSON]] = {}
    """Defaults of settings of `hero run` that differ in this environment, such as `{"max_turns": 30}`."""
    gymnasium_id: ClassVar[str] = ""
    """The id under which `hero.envs.register` makes it known to gymnasium, such as `hero/WebShop-v0`; "" for none."""

    _running = False
    _task_id = ""
    _last_observation = ""

    def __init__(self, *, render_mode: str | None = None) -> None:
        require_one_of("render_mode", render_mode, (None, "ansi"))
        self.observation_space = AnyText()
        self.action_space = AnyText()
        self.render_mode = render_mode

    def begin(self, task: int) -> tuple[str, Mapping[str, Any]]:
        """Starts a task of the split; `self.np_random` is seeded.

        Returns:
            The first observation, and more public facts for `info`, such as `available_actions`; mostly {}.
        """
        raise NotImplementedError

    def apply(self, action: str) -> StepResult:
        """Carries out an action, any string; is called only while an episode is under way."""
        raise NotImplementedError

    def task_id(self, task: int) -> str:
        """Returns the name of a task in results; different tasks have different names."""
        return f"{self.split}-{task}" if self.split else str(task)

    def noop_reward(self, task: int) -> float | None:
        """Returns the reward of an episode of that task in which nothing is done: the baseline of every score on it.

        None where it is not known without playing.
        """
        return None

    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> bool | None:
        """Returns whether an action at a turn of a played episode leads towards success, by the hidden state.

        This is for measuring how good diagnoses are: it plays no part in learning, and no reflector, rule, teacher or
        policy is given the environment. It needs the task and the texts of the trajectory alone, so that an instance
        that did not play the episode answers the same, and it leaves an episode that is under way as it is.

        Args:
            turn: index of the turn, from 0; the turns before it were played as they are in the trajectory.
            action: the action that was taken there, or any other, such as one that was advised.

        Returns:
            None where the hidden state leaves it open, which is always so unless an environment overrides this.

        Raises:
            ConfigError: the trajectory is of a task that no split of this environment has.
        """
        return None

    def readable(self, observation: str) -> str:
        """Returns an observation as a person reads it best; the policy is given the observation itself."""
        return observation

    def provenance(self) -> dict[str, JSON]:
        """Returns everything outside the arguments that decides how this environment behaves, as JSON; {} for nothing.

        A run stores it at the start and compares it when it is resumed. The optional key `arguments` holds constructor
        arguments that pin what was taken from outside, such as an absolute `data` path that came from an
        environment variable: the resumed run builds the environment with them. All other values, such as a hash of
        the data or the model and address of an endpoint, have to be equal then. They are printed: leave secrets out.
        """
        return {}

    @final
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts the task that `options` names, or draws one.

        Raises:
            ConfigError: the task is out of range, or there are other options.
        """
        super().reset(seed=seed)
        self._running = False  # until the task has begun, which may fail
        task = self._choose_task(options)
        self._task_id = self.task_id(task)
        start = self.begin(task)
        if not (isinstance(start, tuple) and len(start) == 2 and isinstance(start[1], Mapping)):
            raise TypeError(f"{type(self).__name__}.begin must return (observation, info), not {brief(start)}")
        self._last_observation, info = start
        self._running = True
        return self._last_observation, {"task_id": self._task_id, "available_actions": [], **info}

    @final
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes an action, which may be any string.

        Raises:
            gymnasium.error.ResetNeeded: no episode is under way.
        """
        if not self._running:
            raise ResetNeeded("the episode is over, or none was started: call reset first")
        result = self.apply(action)
        if not isinstance(result, StepResult):
            raise TypeError(f"{type(self).__name__}.apply must return a StepResult, not {brief(result)}")
        self._last_observation = result.observation
        info = {
            "task_id": self._task_id,
            "available_actions": [],
            **result.info,
            "action_valid": result.action_valid,
            "feedback": result.feedback,
        }
        if result.tool_call is not None:
            info["tool_call"] = result.tool_call
        if result.terminated or result.truncated:
            self._running = False
            if result.success is not None:
                info["success"] = result.success
            if result.metrics:
                info["metrics"] = result.metrics
        return result.observation, result.reward, result.terminated, result.truncated, info

    @final
    def render(self) -> str | None:
        """Returns the last observation, "" before the first episode; None without render mode."""
        return self._last_observation if self.render_mode == "ansi" else None

    def _choose_task(self, options: dict[str, Any] | None) -> int:
        options = options or {}
        if unknown := sorted(set(options) - {"task"}):
            raise ConfigError(f"the only option of reset is 'task', not {', '.join(map(repr, unknown))}")
        if (given := options.get("task")) is None:
            return int(self.np_random.integers(self.num_tasks))
        try:
            task = -1 if isinstance(given, bool) else operator.index(given)
        except TypeError:
            task = -1
        if not 0 <= task < self.num_tasks:
            split = f" ({self.split})" if self.split else ""
            raise ConfigError(f"task {given!r} is not an integer from 0 to {self.num_tasks - 1}{split}")
        return task


class _Wrapped(gymnasium.Wrapper[str, str, str, str]):
    """An environment in wrappers that passes every attribute of the inner environment on."""

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):  # a copy that is not complete; and how to copy is not passed on
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.env.get_wrapper_attr(name)


def text_env(env: gymnasium.Env[str, str]) -> TextEnv:
    """Returns an environment that may be in gymnasium's wrappers as one whose attributes can be read.

    Raises:
        ConfigError: it is not a text environment, or an attribute of it has another type.
    """
    if isinstance(env, _Wrapped):
        return cast("TextEnv", env)
    needed = ("env_id", "instructions", "tools", "num_tasks", "noop_reward", "is_right", "step_timeout")
    missing = [name for name in needed if not (isinstance(env, gymnasium.Env) and env.has_wrapper_attr(name))]
    if missing:
        raise ConfigError(
            f"{env!r} is not a text environment: it has no {', '.join(missing)}; derive it from "
            "hero.envs.base.TextEnv, or play one of gymnasium as gym:ID or gym:module:function"
        )
    readable = env if isinstance(env, TextEnv) else cast("TextEnv", _Wrapped(env))
    values = {name: getattr(readable, name) for name in needed}
    for name, fits, kind in (
        ("env_id", isinstance(values["env_id"], str) and values["env_id"], "a str that is not empty"),
        ("instructions", isinstance(values["instructions"], str), "a str"),
        ("tools", isinstance(values["tools"], Tools | None), "hero.types.Tools or None"),
        ("num_tasks", type(values["num_tasks"]) is int and values["num_tasks"] > 0, "an int of at least 1"),
        ("step_timeout", _is_number(values["step_timeout"]) and values["step_timeout"] > 0, "a number above 0"),
    ):
        if not fits:
            raise ConfigError(f"{name} of {type(env.unwrapped).__name__} is {brief(values[name])}; it must be {kind}")
    return readable


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
