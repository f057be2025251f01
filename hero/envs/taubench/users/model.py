"""A user played by a language model behind any OpenAI-compatible endpoint; needs the extra `users`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Final, Self

from hero.chat.thoughts import without_thoughts
from hero.envs.taubench.task import Task
from hero.envs.taubench.users.address import bare, read_address
from hero.envs.taubench.users.base import GREETING, STOP
from hero.envs.taubench.users.endpoint import Endpoint, RefusalError
from hero.envs.taubench.users.recording import Recording, shared
from hero.envs.validate import real_path, require_integer, require_path
from hero.errors import ConfigError
from hero.types import JSON

OPENAI: Final = "https://api.openai.com/v1"
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
LONGEST_WAIT: Final = 86_400
"""Seconds."""
USUAL: Final = frozenset(("temperature", "seed", "max_tokens"))
"""Parameters of a request that have arguments of their own."""
OWN: Final = frozenset(("model", "messages", "stream", "n"))
"""Parameters of a request that no argument changes."""

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
        seed: sent with every request, as are `temperature` and `max_tokens`, the limit of an answer; None leaves one
            out.
        parameters: more of what is sent, by name, such as `{"max_completion_tokens": 1024}`.
        prices: dollars per million tokens of prompt and of completion.
        attempts: before an endpoint that is busy or out of reach is given up.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.
        timeout: seconds that an attempt may take.
        recording: the recording, or the path of its file.

    Raises:
        ConfigError: an argument is not as above; offline without a recording; or the URL, the key or the proxy cannot
            be used.
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
                raise ConfigError(f"the {name} of the user must be a text that is not empty")
        require_integer("attempts", attempts, 1)
        for name, seconds in {"wait": wait, "timeout": timeout}.items():
            if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_WAIT:
                raise ConfigError(f"{name}={seconds!r} is not possible; give seconds above 0, at most {LONGEST_WAIT}")
        if not isinstance(recording, Recording):
            require_path("recording", recording)
        if offline and recording is None:
            raise ConfigError("a user who is offline needs a recording")
        self.name = f"model:{model}"
        self.usage = Usage()
        self._request = _request(
            model, {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}, parameters
        )
        self._prices, self._offline = _prices(prices), offline
        self._recording = shared(real_path(recording)) if isinstance(recording, str | Path) else recording
        self._endpoint = Endpoint(url, key, timeout, attempts, wait)
        self._task_id = ""
        self._messages: list[Message] = []

    @classmethod
    def of_environment(cls, arguments: Mapping[str, Any] | None = None) -> Self:
        """The user with these arguments; those that are left out come from environment variables.

        These are HERO_USER_MODEL, OPENAI_BASE_URL, HERO_USER_RECORDING (the file of a recording), HERO_USER_OFFLINE=1,
        and OPENAI_API_KEY, which alone holds the key. Name and password of an address come from OPENAI_BASE_URL alone.

        Raises:
            ConfigError: there is no model, or an argument is not one of a model user.
        """
        arguments = arguments or {}
        known = signature(cls).parameters.keys() - {"key"}
        if unknown := sorted(arguments.keys() - known):
            hint = "; the key is taken from OPENAI_API_KEY" if "key" in unknown else ""
            raise ConfigError(f"user_args has no {unknown[0]!r}{hint}; it takes: {', '.join(sorted(known))}")
        around = os.environ.get("OPENAI_BASE_URL") or OPENAI
        taken: dict[str, Any] = {
            "model": os.environ.get("HERO_USER_MODEL"),
            "url": bare(read_address(around)),
            "recording": os.environ.get("HERO_USER_RECORDING") or None,
            "offline": os.environ.get("HERO_USER_OFFLINE") == "1",
        } | dict(arguments)
        if not taken["model"]:
            raise ConfigError(
                'user=model needs HERO_USER_MODEL, or user_args={"model": ...}, and OPENAI_BASE_URL or its url for any '
                "endpoint but OpenAI's"
            )
        if isinstance(taken["url"], str) and taken["url"]:
            address = read_address(taken["url"])
            if address.userinfo:  # arguments are stored and shown
                raise ConfigError("the url of user_args holds a name or password: give those in OPENAI_BASE_URL alone")
            if bare(address) == bare(read_address(around)):
                taken["url"] = around
        return cls(**taken, key=os.environ.get("OPENAI_API_KEY", ""))

    def provenance(self) -> dict[str, JSON]:
        """What the surroundings may have decided; as the environment's, with the `arguments` of this user."""
        recording = str(self._recording.path) if self._recording else None
        facts: dict[str, JSON] = {"model": self._request["model"], "url": self._endpoint.url}
        return {"user": facts, "arguments": facts | {"recording": recording, "offline": self._offline}}

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
        """The answer of the model, without its thoughts.

        Raises:
            ConfigError: the endpoint refuses, is busy for too long, or answers out of shape; or the user is offline,
                and nothing was recorded of this conversation.
            UnavailableError: the endpoint is out of reach.
        """
        self._messages.append(_message("user", message))
        self._messages.append(_message("assistant", without_thoughts(self._answer(self._messages))))
        return self._messages[-1]["content"]

    def _answer(self, messages: Sequence[Message]) -> str:
        request = self._request | {"messages": list(messages)}
        recorded = self._recording.find(request) if self._recording else None
        if recorded is not None:
            return recorded
        if self._offline:
            raise ConfigError(f"nothing was recorded of what the agent said in task {self._task_id}: it must be online")
        try:
            answer = self._endpoint.ask(request, self._read)
        except RefusalError as error:
            raise ConfigError(f"{error}{_advice(self._request, error.said)}") from None
        if self._recording:
            self._recording.add(self._task_id, request, answer)
        return answer

    def _read(self, record: Any) -> str:
        """The words in a chat completion, which is counted."""
        answer = record["choices"][0]["message"]["content"]
        if not isinstance(answer, str | None):
            raise TypeError
        used = record.get("usage") or {}
        tokens = [int(used.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion")]
        if not all(0 <= count <= MOST_TOKENS for count in tokens):
            raise ValueError
        self.usage.calls += 1
        self.usage.prompt_tokens += tokens[0]
        self.usage.completion_tokens += tokens[1]
        self.usage.dollars += sum(price * count for price, count in zip(self._prices, tokens, strict=True)) / 1e6
        return answer or ""


def _request(model: str, usual: Mapping[str, Any], more: Mapping[str, Any] | None) -> dict[str, Any]:
    """Everything of a request but its messages.

    Raises:
        ConfigError: a parameter is not JSON, or one that decides what an answer is.
    """
    request = {"model": model} | {name: value for name, value in usual.items() if value is not None}
    if not isinstance(more or {}, Mapping):
        raise ConfigError(f"parameters={more!r:.60} must be a mapping of names to values")
    if taken := sorted(OWN & (more or {}).keys()):
        raise ConfigError(f"parameters cannot have {taken[0]!r}, which the user sets or relies on")
    try:
        written = json.dumps(request | dict(more or {}), allow_nan=False, ensure_ascii=False)
        return dict(json.loads(written.encode()))  # half a surrogate pair has no encoding
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"what is sent to the user's model must be plain JSON: {error}") from None


def _prices(prices: Sequence[float]) -> tuple[float, float]:
    try:
        prompt, completion = map(float, prices)
    except (TypeError, ValueError):
        raise ConfigError(f"prices={prices!r:.60} must be two numbers: dollars per million tokens in and out") from None
    return prompt, completion


def _advice(request: Mapping[str, Any], said: str) -> str:
    """How to do without the parameters that a refusal names; "" where it names none."""
    named = [name for name in request if name not in OWN and re.search(rf"\b{re.escape(name)}\b", said)]
    ways = [f'leave {name} out with user_args={{"{name}": null}}' for name in named if name in USUAL]
    ways += [f"take {name} out of the parameters of user_args" for name in named if name not in USUAL]
    if "max_completion_tokens" in said and "max_tokens" in named:
        ways.append(f'give "parameters": {{"max_completion_tokens": {request["max_tokens"]}}} in its place')
    return "".join(f"; {way}" for way in ways)


def _message(role: str, text: str) -> Message:
    """A message that can be sent: half a surrogate pair, which JSON can write, no encoding has."""
    return {"role": role, "content": text.encode(errors="replace").decode()}
