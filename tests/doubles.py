"""Doubles for tests of the loop: an environment of guesses, and a trainer that gets better without a network."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hero.distill.base import Example
from hero.envs.base import StepResult, TextEnv
from hero.errors import DataError, UnavailableError
from hero.fingerprint import fingerprint
from hero.types import JSON, Action, Message, Tokens, Trajectory

WORDS = ("red", "green", "blue")


class GuessEnv(TextEnv):
    """The task is to name its colour within three turns.

    Args:
        broken: tasks in which the second step raises, and the first is always wrong.
    """

    env_id: ClassVar[str] = "guess"
    instructions = "Guess the colour."

    def __init__(self, split: str = "train", num_tasks: int = 12, broken: Sequence[int] = ()) -> None:
        super().__init__()
        self.split, self.num_tasks, self.broken = split, num_tasks, set(broken)

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.task, self.tries = task, 0
        return f"Colour {task}?", {"available_actions": list(WORDS)}

    def apply(self, action: str) -> StepResult:
        self.tries += 1
        if self.task in self.broken and self.tries == 2:
            raise ValueError("the dice fell off the table")
        right = action == WORDS[self.task % len(WORDS)] and self.task not in self.broken
        return StepResult(
            "Yes!" if right else "No.",
            reward=float(right),
            terminated=right,
            truncated=self.tries == 3 and not right,
            action_valid=action in WORDS,
            feedback="" if action in WORDS else "?",
            success=right,
            metrics={"colour": float(right)},
            info={"available_actions": list(WORDS)},
        )

    def is_right(self, trajectory: Trajectory, turn: int, action: str) -> bool | None:
        return action == WORDS[int(trajectory.task_id.rpartition("-")[2]) % len(WORDS)]


class LocatedEnv(GuessEnv):
    """A `GuessEnv` whose number of tasks is in a file, which an environment variable names where no argument does."""

    def __init__(self, split: str = "train", data: str | None = None, broken: Sequence[int] = ()) -> None:
        self.data = Path(data or os.environ["GUESS_DATA"]).absolute()
        if not self.data.exists():
            raise DataError(f"there is no data {self.data}")
        super().__init__(split, int(self.data.read_text("utf-8").split()[0]), broken)

    def provenance(self) -> dict[str, JSON]:
        return {"arguments": {"data": str(self.data)}, "data": fingerprint(self.data)}


ONLY = GuessEnv()


def shared_env(split: str = "train") -> GuessEnv:
    """Returns one and the same environment for all who ask."""
    return ONLY


class SecretiveEnv(GuessEnv):
    """A `GuessEnv` whose provenance is not JSON."""

    def provenance(self) -> dict[str, JSON]:
        return {"data": {1, 2}}  # type: ignore[dict-item]


class PlainEnv(GuessEnv):
    """A `GuessEnv` that knows no splits."""

    def __init__(self) -> None:
        super().__init__()


class GivenUpEnv(GuessEnv):
    """A `GuessEnv` whose service warns in the log, and is given up in the third episode of training."""

    started = 0

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        GivenUpEnv.started += self.split == "train"
        if GivenUpEnv.started == 3:
            logging.getLogger("hero").warning("the user does not answer; waiting")
            raise UnavailableError("the user was given up")
        return super().begin(task)


class GuessPolicy:
    """A policy that names the right colour with some probability, any colour otherwise."""

    def __init__(self, skill: float) -> None:
        self.skill = skill

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        return [self._answer(*asked) for asked in zip(prompts, seeds or range(len(prompts)), strict=True)]

    def _answer(self, prompt: Sequence[Message], seed: int) -> Action:
        drawn = random.Random(seed)
        task = int(next(message.content for message in prompt if message.role == "user").split()[1].rstrip("?"))
        knows = drawn.random() < self.skill
        text = WORDS[task % len(WORDS)] if knows else drawn.choice((*WORDS, "mauve"))
        ids = tuple(text.encode())
        return Action(text, Tokens(tuple(range(len(prompt))), ids, (-1.0,) * len(ids)))


class GuessTrainer:
    """A trainer that gets better with every example, and counts updates and examples."""

    def __init__(self) -> None:
        self.skill, self.updates, self.shown = 0.1, 0, 0

    def policy(self, *, temperature: float) -> GuessPolicy:
        return GuessPolicy(self.skill if temperature else round(self.skill))

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        self.updates += 1
        self.shown += len(examples)
        self.skill += (0.9 - self.skill) * min(1.0, 0.02 * len(examples))
        return {
            "loss": 1.0 - self.skill,
            "tokens_with_loss": sum(len(example.tokens.action_ids) for example in examples),
        }

    def save(self, path: Path) -> None:
        path.mkdir()
        (path / "state.json").write_text(json.dumps([self.skill, self.updates, self.shown]))

    def load(self, path: Path) -> None:
        self.skill, self.updates, self.shown = json.loads((path / "state.json").read_text())


class OvershootingTrainer(GuessTrainer):
    """A trainer that knows everything after three updates, and nothing any more after five."""

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        metrics = super().update(examples)
        self.skill = {3: 1.0, 4: 1.0}.get(self.updates, 0.0)
        return metrics
