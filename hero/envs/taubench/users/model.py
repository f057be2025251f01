"""A user played by a language model behind any OpenAI-compatible endpoint; needs the extra `users`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Final, Self

from hero.chat.thoughts import without_thoughts
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import GREETING, STOP
from hero.envs.taubench.users.endpoint import Endpoint, RefusalError
from hero.envs.taubench.users.options import OPENAI, read_prices, require_in_range, with_environment
from hero.envs.taubench.users.recording import Recording, shared
from hero.envs.taubench.users.request import advice, build_request, message
from hero.envs.validate import real_path, require_path
from hero.errors import ConfigError
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

MAX_TOKENS: Final = 2**53
"""Maximum number of tokens that an endpoint can count for one answer."""


@dataclass(slots=True)
class Usage:
    """The use of an endpoint so far; answers from a recording cost nothing.

    Attributes:
        dollars: costs by the prices that the user was built with.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0


class ModelUser:
    """Plays the user by the roles of the original: the model gets the task and the rules, sees the agent's messages
    as a user's, and its own as an assistant's.

    With a recording, a request that was answered before gets the same answer without being sent again: a run that is
    repeated with the same agent needs no endpoint, and `offline` makes sure that it uses none.

    Args:
        url: address of the endpoint, up to and without `/chat/completions`.
        key: key that is sent as a bearer token; "" sends none.
        seed: seed that is sent with every request, as are `temperature` and `max_tokens`, the limit of an answer; None
            leaves one out.
        parameters: more parameters of a request by name, such as `{"max_completion_tokens": 1024}`.
        prices: dollars per million tokens of prompt and of completion.
        attempts: maximum number of attempts at an endpoint that is busy or out of reach.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.
        timeout: seconds that an attempt may take.
        recording: the recording, or the path of its file.
        offline: whether to answer from the recording alone.

    Raises:
        ConfigError: an argument is not as above; the user is offline without a recording; or the URL, the key or the
            proxy cannot be used.
    """

    def __init__(
        self,
        *,
        model: str,
        url: str = OPENAI,
        key: str = "",
        seed: int | None = 0,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        parameters: Mapping[str, Any] | None = None,
        prices: tuple[float, float] = (0.0, 0.0),
        attempts: int = 6,
        wait: float = 1.0,
        timeout: float = 60.0,
        recording: Recording | Path | str | None = None,
        offline: bool = False,
    ) -> None:
        for name, text in {"model": model, "url": url}.items():
            if not isinstance(text, str) or not text:
                raise ConfigError(f"the {name} of the user must be a str that is not empty")
        require_in_range(attempts=attempts, wait=wait, timeout=timeout)
        if not isinstance(recording, Recording):
            require_path("recording", recording)
        if offline and recording is None:
            raise ConfigError("a user who is offline needs a recording")
        self.name = f"model:{model}"
        self.usage = Usage()
        arguments = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        self._request = build_request(model, arguments, parameters)
        self._prices, self._offline = read_prices(prices), offline
        self._recording = shared(real_path(recording)) if isinstance(recording, str | Path) else recording
        self._endpoint = Endpoint(url, key, timeout, attempts, wait)
        self._task_id = ""
        self._messages: list[Mapping[str, str]] = []

    @classmethod
    def of_environment(cls, arguments: Mapping[str, Any] | None = None) -> Self:
        """Builds the user with these arguments; environment variables stand in for those that are left out.

        The variables are HERO_USER_MODEL, OPENAI_BASE_URL, HERO_USER_RECORDING (the file of a recording),
        HERO_USER_OFFLINE=1, and OPENAI_API_KEY, which alone holds the key. Only OPENAI_BASE_URL may hold the name and
        the password of an address: arguments are stored and shown.

        Raises:
            ConfigError: no model is named, or an argument is not one of a model user.
        """
        allowed = signature(cls).parameters.keys() - {"key"}
        return cls(**with_environment(arguments or {}, allowed))

    def provenance(self) -> dict[str, JSON]:
        """Returns the settings that environment variables may have decided, and arguments that pin them."""
        recording = str(self._recording.path) if self._recording else None
        facts: dict[str, JSON] = {"model": self._request["model"], "url": self._endpoint.url}
        return {"user": facts, "arguments": facts | {"recording": recording, "offline": self._offline}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._endpoint.close()

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
        self._messages.append(message("assistant", without_thoughts(self._answer(self._messages))))
        return self._messages[-1]["content"]

    def _answer(self, messages: Sequence[Mapping[str, str]]) -> str:
        request = self._request | {"messages": list(messages)}
        recorded = self._recording.find(request) if self._recording else None
        if recorded is not None:
            return recorded
        if self._offline:
            raise ConfigError(
                f"nothing was recorded for the words of the agent in task {self._task_id}; run it without offline"
            )
        try:
            answer = self._endpoint.ask(request, self._read)
        except RefusalError as error:
            raise ConfigError(f"{error}{advice(self._request, error.answer)}") from None
        if self._recording:
            self._recording.add(self._task_id, request, answer)
        return answer

    def _read(self, completion: Any) -> str:
        """Returns the words in a chat completion, and adds its tokens to `usage`."""
        answer = completion["choices"][0]["message"]["content"]
        if not isinstance(answer, str | None):
            raise TypeError
        used = completion.get("usage") or {}
        tokens = [int(used.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion")]
        if not all(0 <= count <= MAX_TOKENS for count in tokens):
            raise ValueError
        self.usage.calls += 1
        self.usage.prompt_tokens += tokens[0]
        self.usage.completion_tokens += tokens[1]
        self.usage.dollars += sum(price * count for price, count in zip(self._prices, tokens, strict=True)) / 1e6
        return answer or ""
