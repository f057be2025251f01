"""A user played by a language model behind any OpenAI-compatible endpoint; needs the extra `users`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from hero.chat.thoughts import without_thoughts
from hero.endpoint.chat import ChatModel, chat_options
from hero.endpoint.options import Owner, with_environment
from hero.endpoint.recording import Recording
from hero.endpoint.request import message
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import GREETING, STOP
from hero.envs.validate import real_path, require_path
from hero.types import JSON

SYSTEM: Final = f"""\
You play a customer who talks to a service agent. This is who you are and what you want:

{{instruction}}

How to play:
- Write what the customer says next, one short message at a time, and nothing else.
- Tell only what the present question needs; do not lay out everything at once.
- Where the text above does not answer a question, say that you do not remember or do not have it. Invent nothing.
- Say things in your own words, in keeping with the character; do not recite the text above.
- Once what you want is done, or it is clear that it will not be, write {STOP} alone, which ends the conversation."""

OWNER: Final = Owner("user=model", "user_args", "HERO_USER")


class ModelUser:
    """Plays the user by the roles of the original: the model gets the task and the rules, sees the agent's messages
    as a user's, and its own as an assistant's.

    Args:
        arguments: those of `ChatModel`, but for the owner.

    Raises:
        ConfigError: an argument is not possible.
    """

    def __init__(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            if name == "recording" and not isinstance(value, Recording):
                require_path(name, value)
                arguments[name] = None if value is None else real_path(value)
        self._model = ChatModel(owner=OWNER, **arguments)
        self.name = f"model:{self._model.model}"
        self.usage = self._model.usage
        self._task_id = ""
        self._messages: list[Mapping[str, str]] = []

    @classmethod
    def of_environment(cls, arguments: Mapping[str, Any] | None = None) -> Self:
        """Builds the user with these arguments; environment variables stand in for those that are left out.

        The variables are HERO_USER_MODEL, HERO_USER_RECORDING, HERO_USER_OFFLINE=1 and those of `with_environment`.

        Raises:
            ConfigError: no model is named, or an argument is not one of a model user.
        """
        return cls(**with_environment(arguments or {}, chat_options(), OWNER))

    def provenance(self) -> dict[str, JSON]:
        """Returns the settings that environment variables may have decided, and arguments that pin them."""
        arguments = self._model.provenance()
        return {"user": {name: arguments[name] for name in ("model", "url")}, "arguments": arguments}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._model.close()

    def open(self, task: ServiceTask) -> str:
        """Begins an episode; returns the answer to the greeting."""
        self._task_id = task.id
        self._messages = [message("system", SYSTEM.format(instruction=task.instruction))]
        return self.reply(GREETING)

    def reply(self, message_of_agent: str) -> str:
        """Returns the answer of the model, without its thoughts.

        Raises:
            ConfigError: the endpoint refuses, is busy for too long, or its answer has the wrong form; or the user is
                offline, and no answer was recorded in this conversation.
            UnavailableError: the endpoint is out of reach.
        """
        self._messages.append(message("user", message_of_agent))
        answer = self._model.answer(self._messages, self._task_id)
        self._messages.append(message("assistant", without_thoughts(answer)))
        return self._messages[-1]["content"]
