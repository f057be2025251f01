"""One episode under way: what an environment and a policy have said to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hero.chat.base import drift_tokens
from hero.chat.context import ContextBuilder
from hero.deadline import time_limit
from hero.envs.validate import read_start, read_step
from hero.errors import UnavailableError
from hero.policy import derived_seed
from hero.types import JSON, Action, Message, Stop, Tokens, Trajectory, Turn

if TYPE_CHECKING:
    from hero.envs.base import TextEnv

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task:
    """A task to play one episode of.

    Attributes:
        index: index of the task in the environment's split.
        seed: seed that the environment is reset with.
        episode: number of the episode, 0 or more, among those that are played with one seed of `rollout`; None for its
            position in the call. It names the episode's random numbers and does not count for equality: siblings are
            equal.
    """

    index: int
    seed: int
    episode: int | None = field(default=None, compare=False)


@dataclass
class Episode:
    """An episode under way.

    Attributes:
        position: position of its task among those of the rollout.
    """

    position: int
    task: Task
    env: TextEnv
    task_id: str = ""
    prompt: tuple[Message, ...] = ()
    observation: str = ""
    turns: list[Turn] = field(default_factory=list)
    stop: Stop | None = None
    error: str = ""

    def start(self) -> None:
        """Resets the environment."""
        self.task_id = str(self.task.index)
        options = {"task": self.task.index}
        start = self._ask("reset", lambda: read_start(self.env.reset(seed=self.task.seed, options=options)))
        if start is not None:
            self.observation, self.task_id = start

    def write_prompt(self, build_context: ContextBuilder, fits: Callable[[Sequence[Message]], bool]) -> None:
        """Writes the next prompt."""
        env = self.env
        opening = (Message("system", env.instructions, tools=env.tools),) if env.instructions else ()
        self.prompt = build_context(opening, self.turns, self.observation)
        if not fits(self.prompt):
            self.stop = Stop.MAX_TOKENS

    def action_seed(self, seed: int) -> int:
        """Returns the seed of the next action."""
        episode = self.position if self.task.episode is None else self.task.episode
        return derived_seed(seed, episode, len(self.turns))

    def step(self, action: Action, max_turns: int) -> Turn | None:
        """Takes one action; returns None where the environment raised."""
        answer = self._ask("step", lambda: read_step(self.env.step(action.text)))
        if answer is None:
            return None
        self.observation, reward, terminated, truncated, info = answer
        if terminated or truncated:
            self.stop = Stop.TERMINATED if terminated else Stop.TRUNCATED
        turn = Turn(
            prompt=self.prompt,
            action=action,
            observation=self.observation,
            reward=reward,
            feedback=info.get("feedback", ""),
            info=self._facts(action, info),
        )
        self.turns.append(turn)
        if self.stop is None and len(self.turns) == max_turns:
            self.stop = Stop.MAX_TURNS
        return turn

    def trajectory(self, stop: Stop) -> Trajectory:
        """Returns the whole episode."""
        return Trajectory(self.env.env_id, self.task_id, self.task.seed, tuple(self.turns), stop, self.error)

    def _ask(self, what: str, call: Callable[[], T]) -> T | None:
        """Returns the environment's answer; None where it is none, malformed or too late, which ends the episode."""
        try:
            with time_limit(self.env.step_timeout, what):
                return call()
        except UnavailableError:  # the next episode would wait for it as long
            raise
        except (Exception, SystemExit) as error:  # foreign code: whatever it raises is data
            self.stop, self.error = Stop.ERROR, f"{type(error).__name__}: {error}"
            return None

    def _facts(self, action: Action, info: dict[str, Any]) -> dict[str, JSON]:
        """Returns the public part of a step's info, chosen by name so that nothing privileged slips through."""
        facts: dict[str, JSON] = {}
        for name in ("action_valid", "tool_call"):
            if name in info:
                facts[name] = bool(info[name])
        if self.stop is not None:
            if "success" in info:
                facts["success"] = bool(info["success"])
            if metrics := info.get("metrics"):
                facts["metrics"] = metrics
        if self.turns and (drift := _drift(self.turns[-1].action.tokens, action.tokens)):
            facts["drift_tokens"] = drift
        return facts


def _drift(before: Tokens | None, after: Tokens | None) -> int:
    if before is None or after is None:
        return 0
    return drift_tokens(before.prompt_ids + before.action_ids, after.prompt_ids)
