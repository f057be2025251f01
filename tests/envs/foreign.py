"""Environments of gymnasium as other people write them: nothing of HERO in them."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Corridor(gymnasium.Env[str, Any]):
    """A corridor with a door at one end; actions are numbers, and what happens is told in words."""

    action_space = spaces.Discrete(2, start=3)
    observation_space = spaces.Text(200)

    def __init__(self, length: int = 4) -> None:
        self.length = length

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(1, self.length))
        return f"The door is {self.place} steps to your left.", {"secret": object()}

    def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        self.place += 1 if action == 4 else -1
        done, lost = self.place == 0, self.place > self.length
        text = f"The door is {self.place} steps to your left."
        return text, 1.0 if done else -0.1, done or lost, False, {}


def long_corridor(tasks: int = 3) -> Corridor:
    """Builds a corridor by an option of which ours has the name."""
    return Corridor(length=tasks)


class Oracle(gymnasium.Env[str, str]):
    """Draws from the global generators, keeps a count for ever, and takes lower-case words of gymnasium's `Text`."""

    action_space = spaces.Text(5, charset="abcdefghijklmnopqrstuvwxyz")
    observation_space = spaces.Text(200)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        return f"Say {random.randrange(10**6)} {np.random.randint(10**6)}.", {"available_actions": ["yes", "no"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        assert action in self.action_space
        info = {"success": action == "yes", "action_valid": action in {"yes", "no"}, "feedback": "say yes"}
        return f"{random.random()}", -1.0, action in {"yes", "no"}, False, info


class Talkative(Oracle):
    """Says aloud what it calls feedback."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        return super().reset(seed=seed)[0], {"available_actions": ["yes"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        info = {"action_valid": action == "yes", "feedback": "say yes", "available_actions": ["yes"]}
        return "You should say yes.", 0.0, action == "yes", False, info


class Questions(Oracle):
    """Has questions in splits of its own, and other options that ours has, too."""

    def __init__(self, split: str = "train", success_above: int = 3, render_mode: str | None = None) -> None:
        self.split, self.render_mode = split, render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        return f"A question of {self.split}", {"available_actions": ["yes", "no"]}


class OldReset(Oracle):
    """Begins as an environment of the older gym."""

    def reset(self, **_: Any) -> Any:
        return "Say yes."


class OldStep(Oracle):
    """Answers as an environment of the older gym."""

    def step(self, action: str) -> Any:
        return "Yes.", 1.0, True, {}


class NoInfo(Oracle):
    """Has no info."""

    def step(self, action: str) -> Any:
        return "Yes.", 1.0, True, False, None


class Numbers(gymnasium.Env[int, int]):
    """Shows numbers, which no policy of texts can read."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Discrete(3)


class Levers(Corridor):
    """Takes several numbers at a time."""

    action_space = spaces.MultiDiscrete([2, 2])  # type: ignore[assignment]


NOT_AN_ENVIRONMENT = 5


def strange() -> list[int]:
    """Builds something else."""
    return [5]


gymnasium.register("HeroTestCorridor-v0", entry_point=Corridor, max_episode_steps=3)
gymnasium.register("HeroTestQuestions-v2", entry_point=f"{__name__}:Questions")
gymnasium.register("HeroTestExam-v0", entry_point=Questions, kwargs={"split": "test"})
