"""Who plays the user: one protocol, and the users that need nothing but the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from hero.envs.taubench.task import Task
from hero.errors import ConfigError

STOP: Final = "###STOP###"
"""A reply that has this ends the episode."""
GREETING: Final = "Hi! How can I help you today?"
"""What the agent is taken to have said before the user speaks."""


class User(Protocol):
    """Plays the user of one episode at a time.

    `name`, where there is one, becomes part of the environment's id: results of different users do not compare.
    """

    def open(self, task: Task) -> str:
        """Begins an episode; returns what the user says first."""
        ...

    def reply(self, message: str) -> str:
        """Answers the agent; with `STOP` in it where the user is done."""
        ...


class ReplayUser:
    """Says what was recorded, whatever the agent says; after the last recorded text, that it is done.

    Args:
        scripts: what the user said, in order, by task id.
    """

    name = "replay"

    def __init__(self, scripts: Mapping[str, Sequence[str]]) -> None:
        self._scripts = scripts
        self._left: list[str] = []

    def open(self, task: Task) -> str:
        """The first recorded text.

        Raises:
            ConfigError: nothing was recorded of the task.
        """
        if not self._scripts.get(task.id):
            raise ConfigError(f"no words of a user were recorded for task {task.id}")
        self._left = list(self._scripts[task.id])
        return self._left.pop(0)

    def reply(self, message: str) -> str:
        """The next recorded text."""
        return self._left.pop(0) if self._left else STOP


class HumanUser:
    """You: the task is shown, and what you type is said.

    Args:
        ask: shows a text and returns what was typed.
    """

    name = "human"

    def __init__(self, ask: Callable[[str], str] = input) -> None:
        self._ask = ask

    def open(self, task: Task) -> str:
        """Shows the instruction and the greeting."""
        return self._ask(f"{task.instruction}\n(write {STOP} when you are done)\n\nagent: {GREETING}\nyou: ")

    def reply(self, message: str) -> str:
        """Shows what the agent says."""
        return self._ask(f"agent: {message}\nyou: ")
