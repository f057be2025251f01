"""Plays any environment of gymnasium whose observations and actions are texts, as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from importlib import import_module
from typing import Any, SupportsFloat, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, find_highest_version, get_env_id, load_env_creator, parse_env_id

from hero import registry
from hero.chat.thoughts import readings
from hero.envs.adapt import SeededEnv
from hero.envs.base import StepResult
from hero.envs.validate import brief, unpack_reset, unpack_step
from hero.errors import ConfigError, translate_errors


class GymnasiumEnv(SeededEnv):
    """Plays an environment of gymnasium that was not written for HERO: `--env gym:ID`, or `--env module:Class`.

    Its observations are strings, and its actions are strings or a number of named ones (`Discrete`). A name may stand
    in any form of `hero.chat.thoughts`; where actions are strings, it is given whole texts, thoughts included. What it
    lacks is filled in: tasks are seeds (see `SeededEnv`); an action outside its action space is not valid, and costs a
    turn without a step; an episode is a success if its `info` says so at the end (`success`, a bool), else if the
    rewards add up to more than `success_above`. From its `info`, `action_valid`, `available_actions` and `feedback` are
    taken.

    Args:
        id: an id that `gymnasium.make` knows, `module:ID-v0` for one that a module registers, or `module:Class`.
        split: train, validation or test; an environment that has an option `split` of its own is given it as well.
        instructions: how to act, in words: the system message of a policy.
        actions: the names of the actions of a `Discrete` space, in its order.
        success_above: sum of rewards above which an episode without `success` in its info is one.
        step_timeout: seconds after which a step is given up.
        **options: keyword arguments of the environment itself.

    Raises:
        ConfigError: there is no such environment, it does not take the options, its spaces hold no texts, or an option
            is given that it has as well.
    """

    def __init__(
        self,
        *,
        id: str,
        split: str = "train",
        tasks: int = 1000,
        instructions: str = "",
        actions: Sequence[str] = (),
        success_above: float = 0.0,
        step_timeout: float = 600.0,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(split=split, tasks=tasks, render_mode=render_mode)
        self.env_id, self.instructions, self.step_timeout = id, instructions, step_timeout
        self.success_above = success_above
        make, own = _maker(id)
        given = {"tasks": tasks != 1000, "instructions": instructions != "", "actions": bool(actions)}
        given |= {"success_above": success_above != 0.0, "step_timeout": step_timeout != 600.0}
        _refuse_shadowed(id, own, given)
        if "split" in own:
            options["split"] = split
        with self._fence.inside(), translate_errors(ConfigError, f"the environment {id} cannot be built"):
            self.env = make(**options)
        _require_texts(id, self.env)
        self.actions = _action_names(id, self.env.action_space, actions)

    def start(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        self._total = 0.0
        self._observation, info = unpack_reset(self.env.reset(seed=seed))
        self._listed = self._actions_of(info)
        return self._observation, {"available_actions": self._listed}

    def act(self, action: str) -> StepResult:
        chosen = self._chosen(action)
        if chosen is None or chosen not in self.env.action_space:
            names, space = self.actions, self.env.action_space
            remedy = f"answer with one of: {', '.join(names)}" if names else f"it is not in {space}"
            listed = {"available_actions": self._listed}
            return StepResult(self._observation, action_valid=False, feedback=remedy, info=listed)
        self._observation, reward, terminated, truncated, info = unpack_step(self.env.step(chosen))
        self._total += _number(reward)
        self._listed = self._actions_of(info)
        valid, feedback = _flag("action_valid", info.get("action_valid", True)), info.get("feedback", "")
        if not isinstance(feedback, str):
            raise TypeError(f"feedback in the info is {brief(feedback)}, not a str")
        if feedback in self._observation:  # then it is public, and nothing that only a teacher knows
            feedback = "" if valid else "the environment says that it is not valid"
        return StepResult(
            self._observation,
            reward=float(reward),
            terminated=_flag("terminated", terminated),
            truncated=_flag("truncated", truncated),
            action_valid=valid,
            feedback=feedback,
            success=_flag("success", info.get("success", self._total > self.success_above)),
            info={"available_actions": self._listed},
        )

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def _chosen(self, action: str) -> Any:
        """Returns the action of the environment itself; None for a text that names none."""
        if not self.actions:
            return action
        space = cast("spaces.Discrete", self.env.action_space)
        named = next((text for text in (action, *readings(action)) if text in self.actions), None)
        return None if named is None else int(space.start) + self.actions.index(named)

    def _actions_of(self, info: Mapping[str, Any]) -> list[str]:
        listed = info.get("available_actions", self.actions)
        if not isinstance(listed, list | tuple) or not all(isinstance(action, str) for action in listed):
            raise TypeError(f"available_actions in the info is {brief(listed)}, not a list of str")
        return [*listed]


def _maker(name: str) -> tuple[Callable[..., gymnasium.Env[Any, Any]], Set[str]]:
    """Returns what builds the environment of a name, and the options of its own that are open.

    Raises:
        ConfigError: a module cannot be imported, or has something else under that name, or gymnasium has no such id.
    """
    if registry.is_path(name):
        component = registry.load("hero.envs", name)
        if not callable(component):
            raise ConfigError(f"{name} is {brief(component)}, not an environment of gymnasium")
        return component, _own_options(component)
    with translate_errors(ConfigError, f"the environment {name} cannot be built"):
        spec = _registered(name)
        creator = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    make = partial(gymnasium.make, name, disable_env_checker=True)  # which warns of what is filled in here
    return make, _own_options(creator) - spec.kwargs.keys()  # an id may stand for one split


def _registered(name: str) -> EnvSpec:
    """Returns the registration that `gymnasium.make` takes: of an id without a version the newest."""
    module, _, env_id = name.rpartition(":")
    if module:
        import_module(module)
    namespace, short, version = parse_env_id(env_id)
    newest = find_highest_version(namespace, short) if version is None else version
    return gymnasium.spec(get_env_id(namespace, short, newest))


def _own_options(creator: Any) -> Set[str]:
    try:
        return registry.parameters(creator).keys()
    except (TypeError, ValueError):  # it has no signature
        return set()


def _refuse_shadowed(name: str, own: Set[str], given: Mapping[str, bool]) -> None:
    """Refuses an option that both sides have; which of them was meant, nobody can tell."""
    if shadowed := [option for option, is_given in given.items() if is_given and option in own]:
        raise ConfigError(
            f"{name} has an option {shadowed[0]} of its own, which this one hides; write a function that builds the "
            "environment, and name that: gym:module:function"
        )


def _require_texts(name: str, env: Any) -> None:
    """Checks that an environment is one of gymnasium, and that its observations are texts."""
    if not isinstance(env, gymnasium.Env):
        raise ConfigError(f"{name} builds {brief(env)}, not a gymnasium.Env")
    for space in ("observation_space", "action_space"):
        if not isinstance(getattr(env, space, None), spaces.Space):
            raise ConfigError(f"{name} has no {space}; set it, such as to hero.envs.space.AnyText()")
    if not _holds_texts(env.observation_space):
        raise ConfigError(
            f"the observations of {name} are {env.observation_space}, not texts; put a gymnasium.ObservationWrapper "
            "around it that describes them in words"
        )


def _holds_texts(space: Any) -> bool:
    with translate_errors(ConfigError, f"the space {brief(space)} cannot be drawn from"):
        return isinstance(space.sample(), str)


def _action_names(name: str, space: Any, given: Sequence[str]) -> list[str]:
    """Returns the names of actions that have some; [] where actions are texts."""
    if isinstance(given, str):
        raise ConfigError(f'actions={given!r} is not a list of names, such as ["left", "right"]')
    if _holds_texts(space):
        if given:
            raise ConfigError(f"actions={list(given)} does nothing with {name}, whose actions are texts; leave it out")
        return []
    if not isinstance(space, spaces.Discrete):
        raise ConfigError(f"the actions of {name} are {space}, neither texts nor a few that could have names")
    names = [*map(str, given)]
    if len(names) != space.n or len(set(names)) != len(names):
        raise ConfigError(
            f"{name} has {space.n} actions without names; give them as actions, {space.n} different strings in their "
            f'order, such as --env-arg \'actions=["left", "right"]\', not {names}'
        )
    return names


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {brief(value)}, not a bool")
    return bool(value)


def _number(reward: Any) -> float:
    if isinstance(reward, str) or not isinstance(reward, SupportsFloat):
        raise TypeError(f"the reward is {brief(reward)}, not a number")
    return float(reward)
