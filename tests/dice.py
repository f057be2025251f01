"""An environment of dice that ends in every way an environment can, and a policy that echoes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hero.envs.base import StepResult, TextEnv
from hero.types import Message, Tools

SECRET = "PRIVILEGED"


class DiceEnv(TextEnv):
    """Throws dice; each task is of one kind, by its number modulo 6.

    0: ends by itself; 1: cuts itself off; 2: raises on reset; 3: raises on its third step; 4, 5: go on for ever.
    """

    env_id: ClassVar[str] = "dice"
    instructions = "Throw."
    tools = Tools(({"type": "function", "function": {"name": "throw"}},), "Play.")
    num_tasks = 100

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.task, self.steps = task, 0
        if task % 6 == 2:
            raise LookupError("no dice")
        return f"dice {task}: {self.np_random.integers(100)}", {"goal": SECRET}

    def task_id(self, task: int) -> str:
        return f"dice-{task}"

    def apply(self, action: str) -> StepResult:
        self.steps += 1
        kind, over = self.task % 6, self.steps == 2 + self.task // 6 % 3
        if kind == 3 and self.steps == 3:
            raise LookupError("dice lost")
        thrown = int(self.np_random.integers(100))
        return StepResult(
            f"after {action!r}: {thrown}",
            reward=1234.5 + thrown,
            terminated=kind == 0 and over,
            truncated=kind == 1 and over,
            action_valid=bool(action),
            feedback=f"{SECRET} {self.steps}",
            success=kind == 0 and over,
            metrics={"thrown": thrown, "doubled": self.steps > 2},
            info={"available_actions": [SECRET], "reward_parts": {SECRET: 1.0}},
        )


def echo(messages: Sequence[Message]) -> str:
    return f"{len(messages)} {messages[-1].content[-2:]}" if "5" not in messages[-1].content else ""
