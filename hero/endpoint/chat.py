"""A language model behind any OpenAI-compatible chat endpoint; needs the extra `users`."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Final

from hero.endpoint.client import RefusalError
from hero.endpoint.options import OPENAI, Owner, read_prices, require_in_range
from hero.endpoint.pool import EndpointPool
from hero.endpoint.recording import Recording, shared
from hero.endpoint.request import advice, build_request
from hero.errors import ConfigError
from hero.types import JSON

MAX_TOKENS: Final = 2**53
"""Maximum number of tokens that an endpoint can count for one answer."""


@dataclass(slots=True)
class Usage:
    """The use of an endpoint so far; answers from a recording cost nothing.

    Attributes:
        dollars: costs by the prices that the model was built with.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0


class ChatModel:
    """Answers conversations; may be asked in several threads, each of which has a connection of its own.

    With a recording, a request that was answered before gets the same answer without being sent again: a run that is
    repeated needs no endpoint, and `offline` makes sure that it uses none.

    Args:
        owner: what it is for, in messages.
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

    Attributes:
        usage: tokens and dollars so far.

    Raises:
        ConfigError: an argument is not as above; it is offline without a recording; or the URL, the key or the proxy
            cannot be used.
    """

    def __init__(
        self,
        *,
        owner: Owner,
        model: str,
        url: str = OPENAI,
        key: str = "",
        seed: int | None = 0,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        parameters: Mapping[str, Any] | None = None,
        prices: Sequence[float] = (0.0, 0.0),
        attempts: int = 6,
        wait: float = 1.0,
        timeout: float = 60.0,
        recording: Recording | Path | str | None = None,
        offline: bool = False,
    ) -> None:
        for name, text in {"model": model, "url": url}.items():
            if not isinstance(text, str) or not text:
                raise ConfigError(f"the {name} of {owner.name} must be a str that is not empty")
        require_in_range(attempts=attempts, wait=wait, timeout=timeout)
        if offline and recording is None:
            raise ConfigError(f"{owner.name} is offline, which needs a recording")
        self.model, self.usage, self.offline = model, Usage(), offline
        self._owner, self._prices = owner, read_prices(prices)
        arguments = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        self._request = build_request(model, arguments, parameters)
        self.recording = shared(Path(recording)) if isinstance(recording, str | Path) else recording
        self._endpoints = EndpointPool(url, key, timeout, attempts, wait)
        self.url = self._endpoints.url
        self._lock = threading.Lock()

    def provenance(self) -> dict[str, JSON]:
        """Returns the arguments that environment variables may have decided."""
        path = str(self.recording.path) if self.recording else None
        return {"model": self.model, "url": self.url, "recording": path, "offline": self.offline}

    def close(self) -> None:
        """Closes all connections, as the end of its life does."""
        self._endpoints.close()

    def answer(self, messages: Sequence[Mapping[str, str]], task_id: str, **parameters: JSON) -> str:
        """Returns the words of the model.

        Args:
            messages: the conversation, as `hero.endpoint.request.message` returns its parts.
            task_id: kept with the answer in the recording.
            parameters: take precedence over those of every request.

        Raises:
            ConfigError: the endpoint refuses, is busy for too long, or its answer has the wrong form; or the model is
                offline, and no answer to this conversation was recorded.
            UnavailableError: the endpoint is out of reach.
        """
        request = self._request | parameters | {"messages": list(messages)}
        recorded = self.recording.find(request) if self.recording else None
        if recorded is not None:
            return recorded
        if self.offline:
            raise ConfigError(f"nothing was recorded for this conversation in task {task_id}; run it without offline")
        try:
            endpoint = self._endpoints.of_this_thread()
            answer = endpoint.without_secrets(endpoint.ask(request, self._read))
        except RefusalError as error:
            raise ConfigError(f"{error}{advice(self._request, error.answer, self._owner.arguments)}") from None
        if self.recording:
            self.recording.add(task_id, request, answer)
        return answer

    def _read(self, body: bytes) -> str:
        """Returns the words in a chat completion, and adds its tokens to `usage`."""
        completion: Any = json.loads(body)
        answer = completion["choices"][0]["message"]["content"]
        if not isinstance(answer, str | None):
            raise TypeError
        used = completion.get("usage") or {}
        tokens = [int(used.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion")]
        if not all(0 <= count <= MAX_TOKENS for count in tokens):
            raise ValueError
        with self._lock:
            self.usage.calls += 1
            self.usage.prompt_tokens += tokens[0]
            self.usage.completion_tokens += tokens[1]
            self.usage.dollars += sum(price * count for price, count in zip(self._prices, tokens, strict=True)) / 1e6
        return answer or ""


def chat_options() -> Set[str]:
    """Returns the names of the parameters of `ChatModel` that users give."""
    return signature(ChatModel).parameters.keys() - {"key", "owner"}
