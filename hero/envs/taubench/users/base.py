"""The protocol of users, and those users that need only the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from hero.envs.taubench.task import ServiceTask
from hero.errors import ConfigError

STOP: Final = "###STOP###"
"""A reply that contains this text ends the episode."""
GREETING: Final = "Hi! How can I help you today?"
"""The greeting of the agent that the user answers first."""


class User(Protocol):
    """Plays the user of one episode at a time.

    `name`, where there is one, becomes part of the environment's id: results of different users do not compare.
    """

    def open(self, task: ServiceTask) -> str:
        """Begins an episode; returns the user's first message."""
        ...

    def reply(self, message: str) -> str:
        """Returns the answer to the agent; it contains `STOP` where the user is done."""
        ...


class ReplayUser:
    """Repeats recorded messages, whatever the agent says, and then stops.

    Args:
        scripts: messages of the user, in order, by task id.
    """

    name = "replay"

    def __init__(self, scripts: Mapping[str, Sequence[str]]) -> None:
        self._scripts = scripts
        self._left: list[str] = []

    def open(self, task: ServiceTask) -> str:
        """Returns the first recorded message.

        Raises:
            ConfigError: no messages were recorded for the task.
        """
        if not self._scripts.get(task.id):
            raise ConfigError(f"no messages of a user are recorded for task {task.id}; add them to the scripts")
        self._left = list(self._scripts[task.id])
        return self._left.pop(0)

    def reply(self, message: str) -> str:
        """Returns the next recorded message."""
        return self._left.pop(0) if self._left else STOP


class HumanUser:
    """Shows the task to a person at the terminal, who types the user's messages.

    Args:
        ask: shows a text and returns the typed line.
    """

    name = "human"

    def __init__(self, ask: Callable[[str], str] = input) -> None:
        self._ask = ask

    def open(self, task: ServiceTask) -> str:
        """Shows the instruction and the greeting."""
        return self._ask(f"{task.instruction}\n(write {STOP} when you are done)\n\nagent: {GREETING}\nyou: ")

    def reply(self, message: str) -> str:
        """Shows the message of the agent."""
        return self._ask(f"agent: {message}\nyou: ")
