"""The plain frozen data that every block of the toolkit takes and returns. It needs the standard library only.

A value is complete when it is built: no field is set later, and no block keeps state in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias, cast

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Role: TypeAlias = Literal["system", "user", "assistant"]


class Stop(StrEnum):
    """The reason why an episode ended."""

    TERMINATED = "terminated"
    """The environment reached a final state."""
    TRUNCATED = "truncated"
    """The environment, or a wrapper such as gymnasium's TimeLimit, cut the episode."""
    MAX_TURNS = "max_turns"
    """The rollout's turn limit cut the episode."""
    MAX_TOKENS = "max_tokens"
    """The next prompt would not have fitted the rollout's token limit."""
    ERROR = "error"
    """The environment raised an exception, which `Trajectory.error` holds."""
    UNKNOWN = "unknown"
    """A trace of another agent tells neither how the episode ended nor its reward: nobody judges the end."""


class Verdict(StrEnum):
    """A reflector's judgement of one action, with hindsight."""

    USEFUL = "useful"
    UNNECESSARY = "unnecessary"
    INVALID = "invalid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Tools:
    """Tools that an agent can call, for chats whose template writes tools itself.

    Attributes:
        schemas: one per tool, in the form of function calling: `type` and `function`, which has `name`, `description`
            and `parameters`.
        content: the message's text without the part about tools.
    """

    schemas: tuple[Mapping[str, JSON], ...] = field(hash=False)
    content: str


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message.

    Attributes:
        ids: for an assistant message that a policy sampled, the very ids that it sampled, the stop token
            included; a `Chat` splices them in and never encodes `content` again. Empty for other messages.
        tools: the tools that `content` describes; None where it describes none.
    """

    role: Role
    content: str
    ids: tuple[int, ...] = ()
    tools: Tools | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The ids behind one action, as the policy sampled them.

    Attributes:
        prompt_ids: the whole prompt.
        action_ids: the sampled ids, the stop token included where there was one.
        logprobs: log-probability (nats) of each of `action_ids` in softmax(logits / temperature), the distribution that
            it was drawn from.
        policy_version: number of updates that the sampling weights had seen.
        temperature: temperature of `logprobs`, more than 0; 1 where the likeliest id was taken.

    Raises:
        ValueError: `action_ids` and `logprobs` differ in length, or the temperature is not a positive number.
    """

    prompt_ids: tuple[int, ...]
    action_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    policy_version: int = 0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if len(self.action_ids) != len(self.logprobs):
            raise ValueError(f"{len(self.action_ids)} action ids but {len(self.logprobs)} log-probabilities")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"a temperature of {self.temperature} is not possible; give a finite number above 0")


@dataclass(frozen=True, slots=True)
class Action:
    """A policy's answer to one prompt.

    Attributes:
        tokens: the sampled ids; None for a policy that has none (a person, a function, an endpoint).
        cut_off: whether the length limit stopped the action before the model did.
    """

    text: str
    tokens: Tokens | None = None
    cut_off: bool = False

    def message(self) -> Message:
        """Returns the assistant message that stands for this action in later prompts."""
        return Message("assistant", self.text, self.tokens.action_ids if self.tokens else ())


@dataclass(frozen=True, slots=True)
class Turn:
    """One action, the prompt before it and the environment's answer.

    Attributes:
        prompt: the policy's prompt, which never holds privileged text.
        observation: the next observation, the environment's answer to the action.
        feedback: privileged words of the environment about the action; "" where it has none. Reflectors and teachers
            read it, a policy never does.
        info: public facts of the step: `action_valid`; where there are tools, `tool_call` (an action of words is valid,
            too); and where the environment ended the episode `success` and `metrics`.
    """

    prompt: tuple[Message, ...]
    action: Action
    observation: str
    reward: float
    feedback: str = ""
    info: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One episode, from the view of the policy; it holds no hidden state of the environment.

    Attributes:
        task_id: name of the task within `env_id`; equal ids are the same task.
        seed: seed of the environment's reset.
        turns: empty if the environment raised on reset.
        error: the exception that the environment raised; "" unless `stop` is `Stop.ERROR`.
    """

    env_id: str
    task_id: str
    seed: int
    turns: tuple[Turn, ...]
    stop: Stop
    error: str = ""

    @property
    def reward(self) -> float:
        """The sum of the rewards of all turns; 0 for an empty episode."""
        return float(sum(turn.reward for turn in self.turns))

    @property
    def observations(self) -> tuple[str, ...]:
        """The text that each turn saw, and last the answer to the last turn; empty for an empty episode.

        The first is the last message of the first prompt.
        """
        if not self.turns:
            return ()
        prompt = self.turns[0].prompt
        return (prompt[-1].content if prompt else "", *(turn.observation for turn in self.turns))

    @property
    def success(self) -> bool:
        """Whether the environment reported success at the end of the episode."""
        return bool(self.turns) and self.turns[-1].info.get("success") is True

    @property
    def metrics(self) -> Mapping[str, float]:
        """Numbers that the environment reported about the episode at its end, by name; empty where there are none."""
        metrics = self.turns[-1].info.get("metrics") if self.turns else None
        return cast("dict[str, float]", metrics) if isinstance(metrics, dict) else {}


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes of one task, for learners that compare siblings.

    Attributes:
        earlier: successful episodes of the same task from earlier steps of the run, oldest first.

    Raises:
        ValueError: no members, or episodes of different tasks.
    """

    members: tuple[Trajectory, ...]
    earlier: tuple[Trajectory, ...] = ()

    def __post_init__(self) -> None:
        tasks = {(episode.env_id, episode.task_id) for episode in (*self.members, *self.earlier)}
        if len(tasks) != 1 or not self.members:
            raise ValueError(f"a group holds episodes of exactly one task, not of {len(tasks)}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A reflector's judgement of one turn.

    Attributes:
        turn: index of the turn, from 0.
        verdict: None where the author does not judge (the `feedback` reflector).
        cause: why, in a few words; may be "".
        advice: the action that should have been taken instead; "" where there is none to give.
    """

    turn: int
    verdict: Verdict | None
    cause: str = ""
    advice: str = ""

    def text(self) -> str:
        """Returns the finding as a teacher reads it; "" if there is nothing to say."""
        head = ": ".join(part for part in (self.verdict or "", self.cause) if part)
        return "\n".join(part for part in (head, f"instead: {self.advice}" if self.advice else "") if part)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings of one reflector about one episode.

    Attributes:
        author: name of the reflector.
        findings: at most one per turn, in the order of the turns; empty if there is nothing to say.
        tokens: number of tokens, in prompt and answer, that writing it took; 0 for a reflector that runs no model.
        problem: why turns have no review that should have one, such as an unreadable answer; "" for none.

    Raises:
        ValueError: two findings about one turn, or findings out of order.
    """

    author: str
    findings: tuple[Finding, ...] = ()
    tokens: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        turns = [finding.turn for finding in self.findings]
        if turns != sorted(set(turns)):
            raise ValueError(f"findings must be about different turns, in order, not {turns}")

    def about(self, turn: int) -> str:
        """Returns the text of the finding about one turn; "" if there is none."""
        return next((finding.text() for finding in self.findings if finding.turn == turn), "")
