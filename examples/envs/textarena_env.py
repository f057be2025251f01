"""The games for one player of textarena: `pip install textarena`, then

hero play --env examples.envs.textarena_env:TextArenaEnv --env-arg game=FrozenLake-v0-raw

Its protocol: `reset` returns nothing, `get_observation` empties a queue of messages, and the reward is known to `close`
alone. Take the ids that end with -raw: the others show the whole history, and that of the episode before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import textarena

from hero.envs.adapt import SeededEnv
from hero.envs.base import StepResult

LONGEST = 1000
"""Maximum length of an action in characters, since some games take minutes to read a long one."""


class TextArenaEnv(SeededEnv):
    """A game of textarena for one player; a success is a reward of 1.

    Args:
        game: its id, such as `FrozenLake-v0-raw` or `TowerOfHanoi-v0-raw`.
    """

    def __init__(self, *, game: str = "FrozenLake-v0-raw", split: str = "train", tasks: int = 1000) -> None:
        super().__init__(split=split, tasks=tasks)
        self.env_id, self.game = f"textarena/{game}", game

    def start(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        self.env = textarena.make(self.game)
        self.env.reset(num_players=1, seed=seed)
        return self._read()[0], {}

    def act(self, action: str) -> StepResult:
        done, _ = self.env.step(action[:LONGEST])
        observation, valid = self._read()
        feedback = "" if valid else "the game does not take this move"
        if not done:
            return StepResult(observation, action_valid=valid, feedback=feedback)
        rewards, info = self.env.close()
        last = f"{observation}\n{info[0]['reason']}".strip()
        return StepResult(
            last, float(rewards[0]), terminated=True, action_valid=valid, feedback=feedback, success=rewards[0] >= 1
        )

    def _read(self) -> tuple[str, bool]:
        """Returns the new messages of the game, and whether it took the last move."""
        kinds = textarena.ObservationType
        _, messages = self.env.get_observation()
        texts = [text for _, text, kind in messages if kind is not kinds.PLAYER_ACTION]
        return "\n".join(texts), all(kind is not kinds.GAME_ADMIN for *_, kind in messages)
