"""The games of GEM: `pip install gem-llm`, then

hero play --env examples.envs.gem_env:GemEnv --env-arg game=game:TowerofHanoi-v0-easy

Its protocol is that of gymnasium without spaces, and the state of a game is in `info`. It draws from the global random
generators, and plays on after the end of an episode; `SeededEnv` and `TextEnv` keep both apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gem

from hero.envs.adapt import SeededEnv
from hero.envs.base import StepResult

REFUSALS = ("you did not provide a valid", "you attempted an invalid", "outside the range", "not valid", "illegal")
"""Parts of its answers to actions that do nothing, in small letters."""


class GemEnv(SeededEnv):
    r"""A game of GEM, whose actions are written as `\boxed{...}`; a success is a reward of 1.

    Args:
        game: its id, such as `game:TowerofHanoi-v0-easy` or `game:GuessTheNumber-v0-easy`.
    """

    def __init__(self, *, game: str = "game:TowerofHanoi-v0-easy", split: str = "train", tasks: int = 1000) -> None:
        super().__init__(split=split, tasks=tasks)
        self.env_id, self.game = f"gem/{game}", game

    def start(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        self.env = gem.make(self.game)
        observation, info = self.env.reset(seed=seed)
        return observation + info.get("suffix", ""), {}

    def act(self, action: str) -> StepResult:
        observation, reward, terminated, truncated, info = self.env.step(action)
        valid = not any(words in observation.lower() for words in REFUSALS)
        return StepResult(
            observation + info.get("suffix", ""),
            float(reward),
            terminated=bool(terminated),
            truncated=bool(truncated and not terminated),
            action_valid=valid,
            feedback="" if valid else "the game does not take this move",
            success=float(reward) >= 1,
        )
