"""A user played by a language model behind any OpenAI-compatible endpoint; needs the extra `users`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from hero.envs.arguments import real_path
from hero.envs.taubench.endpoint import BusyError, Endpoint
from hero.envs.taubench.recording import Recording, shared
from hero.envs.taubench.task import Task
from hero.envs.taubench.users import GREETING, STOP
from hero.errors import ConfigError

SYSTEM: Final = f"""\
You play a customer who talks to a service agent. This is who you are and what you want:

{{instruction}}

How to play:
- Write what the customer says next, one short message at a time, and nothing else.
- Tell only what the present question needs; do not lay out everything at once.
- Where the text above does not answer a question, say that you do not remember or do not have it. Invent nothing.
- Say things in your own words, in keeping with the character; do not recite the text above.
- Once what you want is done, or it is clear that it will not be, write {STOP} alone, which ends the conversation."""

MOST_TOKENS: Final = 2**53
"""Of one answer; what is more is no number of tokens."""

Message = Mapping[str, str]


@dataclass(slots=True)
class Usage:
    """What the endpoint was asked so far; answers from a recording cost nothing.

    Attributes:
        dollars: by the prices that the user was built with.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0


class ModelUser:
    """Plays the user by the roles of the original: the model is told the task and the rules, sees the agent's messages
    as a user's, and its own as an assistant's.

    With a recording, a request that was answered before gets the same answer, without being asked again: a run that is
    repeated with the same agent needs no endpoint, and `offline` makes sure of that.

    Args:
        url: of the endpoint, up to and without `/chat/completions`.
        key: sent as a bearer token; "" sends none.
        seed: sent with every request, as is `temperature`.
        prices: dollars per million tokens of prompt and of completion.
        attempts: before an endpoint that is busy or out of reach is given up.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.
        timeout: seconds that an attempt may take.

    Raises:
        ConfigError: offline without a recording; or the URL, the key or the proxy cannot be used.
    """

    def __init__(
        self,
        *,
        model: str,
        url: str = "https://api.openai.com/v1",
        key: str = "",
        seed: int = 0,
        temperature: float = 0.0,
        prices: tuple[float, float] = (0.0, 0.0),
        attempts: int = 6,
        wait: float = 1.0,
        timeout: float = 60.0,
        recording: Recording | None = None,
        offline: bool = False,
    ) -> None:
        if offline and recording is None:
            raise ConfigError("a user who is offline needs a recording")
        self.name = f"model:{model}"
        self.usage = Usage()
        self._request: dict[str, Any] = {"model": model, "temperature": temperature, "seed": seed}
        self._prices, self._recording, self._offline = prices, recording, offline
        self._endpoint = Endpoint(url, key, timeout)
        self._retrying = Retrying(
            retry=retry_if_exception_type(BusyError),
            stop=stop_after_attempt(attempts),
            wait=wait_exponential(multiplier=wait, max=60),
            reraise=True,
        )
        self._task_id = ""
        self._messages: list[Message] = []

    @classmethod
    def of_environment(cls) -> Self:
        """The user that HERO_USER_MODEL names, at OPENAI_BASE_URL with OPENAI_API_KEY.

        HERO_USER_RECORDING, if set, names the file of a recording, and HERO_USER_OFFLINE=1 asks nothing but that.

        Raises:
            ConfigError: HERO_USER_MODEL is not set.
        """
        model = os.environ.get("HERO_USER_MODEL")
        if not model:
            raise ConfigError("user=model needs HERO_USER_MODEL, and OPENAI_BASE_URL for any endpoint but OpenAI's")
        path = os.environ.get("HERO_USER_RECORDING")
        return cls(
            model=model,
            url=os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",
            key=os.environ.get("OPENAI_API_KEY", ""),
            recording=shared(real_path(path)) if path else None,
            offline=os.environ.get("HERO_USER_OFFLINE") == "1",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._endpoint.close()

    def open(self, task: Task) -> str:
        """The answer to the greeting."""
        self._task_id = task.id
        self._messages = [_message("system", SYSTEM.format(instruction=task.instruction))]
        return self.reply(GREETING)

    def reply(self, message: str) -> str:
        """The answer of the model.

        Raises:
            ConfigError: the endpoint refuses, cannot be reached, or answers out of shape; or the user is offline, and
                nothing was recorded of this conversation.
        """
        self._messages.append(_message("user", message))
        self._messages.append(_message("assistant", self._answer(self._messages)))
        return self._messages[-1]["content"]

    def _answer(self, messages: Sequence[Message]) -> str:
        request = self._request | {"messages": list(messages)}
        recorded = self._recording.find(request) if self._recording else None
        if recorded is not None:
            return recorded
        if self._offline:
            raise ConfigError(f"nothing was recorded of what the agent said in task {self._task_id}: it must be online")
        try:
            answer = self._endpoint.redacted(self._retrying(self._asked, request), shortest=8)
        except BusyError as error:
            raise ConfigError(f"the user's model at {self._endpoint.url} does not answer: {error}") from None
        if self._recording:
            self._recording.add(self._task_id, request, answer)
        return answer

    def _asked(self, request: Mapping[str, Any]) -> str:
        record = self._endpoint.ask(request)
        try:
            answer = record["choices"][0]["message"]["content"]
            if not isinstance(answer, str | None):
                raise TypeError
            used = record.get("usage") or {}
            tokens = [int(used.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion")]
            if not all(0 <= count <= MOST_TOKENS for count in tokens):
                raise ValueError
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            said = self._endpoint.redacted(json.dumps(record, ensure_ascii=False))[:200]
            raise ConfigError(f"{self._endpoint.url} answers what is no chat completion: {said}") from None
        self.usage.calls += 1
        self.usage.prompt_tokens += tokens[0]
        self.usage.completion_tokens += tokens[1]
        self.usage.dollars += sum(price * count for price, count in zip(self._prices, tokens, strict=True)) / 1e6
        return answer or ""


def _message(role: str, text: str) -> Message:
    """A message that can be sent: half a surrogate pair, which JSON can write, no encoding has."""
    return {"role": role, "content": text.encode(errors="replace").decode()}
