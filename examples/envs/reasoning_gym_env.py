"""The puzzles of reasoning-gym: `pip install reasoning-gym`, then

hero play --env examples.envs.reasoning_gym_env:ReasoningGymEnv --env-arg puzzle=leg_counting

It is a set of questions with a score, and no environment; here a wrong answer may be tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reasoning_gym

from hero.envs.adapt import SeededEnv
from hero.envs.base import StepResult


class ReasoningGymEnv(SeededEnv):
    """A puzzle of reasoning-gym, in up to `tries` answers; the reward is the score of the last one.

    Args:
        puzzle: name of the dataset, such as `leg_counting` or `spell_backward`.
        tries: number of answers, the first right one of which ends the episode.
        options: options of the dataset, such as `{"max_word_len": 4}`.
    """

    instructions = "Solve the puzzle. Answer with the solution alone."

    def __init__(
        self,
        *,
        puzzle: str = "leg_counting",
        tries: int = 3,
        options: Mapping[str, Any] | None = None,
        split: str = "train",
        tasks: int = 1000,
    ) -> None:
        super().__init__(split=split, tasks=tasks)
        self.env_id, self.puzzle, self.tries, self.options = f"reasoning-gym/{puzzle}", puzzle, tries, options or {}

    def start(self, seed: int) -> tuple[str, Mapping[str, Any]]:
        # Seeds that are near each other share questions, so that the one of this seed is the first of its own set.
        self.data = reasoning_gym.create_dataset(self.puzzle, size=1, seed=seed * 10_007, **self.options)
        self.entry, self.left = self.data[0], self.tries
        return self.entry["question"], {}

    def act(self, action: str) -> StepResult:
        self.left -= 1
        score = float(self.data.score_answer(action.strip() or None, self.entry))
        right, over = score >= 1, not self.left
        text = "That is right." if right else "That is not right." + ("" if over else " Try again.")
        return StepResult(text, score if right or over else 0.0, terminated=right or over, success=right)
