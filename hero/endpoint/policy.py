"""A policy that asks a model behind an endpoint, and a reflector on it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, Final

from hero.endpoint.chat import ChatModel, chat_options
from hero.endpoint.options import Owner, with_environment
from hero.endpoint.request import message
from hero.errors import ConfigError
from hero.reflect.model import ModelReflector
from hero.types import Action, Diagnosis, Message, Trajectory

SEEDS: Final = 2**31
"""Number of seeds that endpoints accept."""


class EndpointPolicy:
    """Answers each prompt by a request of its own, several at a time; its actions have no tokens.

    Args:
        concurrency: number of requests at a time.
        task_id: kept with answers in the recording.

    Attributes:
        usage: tokens and dollars so far.
    """

    waits: Final = True

    def __init__(self, model: ChatModel, *, concurrency: int = 8, task_id: str = "act") -> None:
        self.model, self.task_id, self.usage = model, task_id, model.usage
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="endpoint")

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Returns an action per prompt; a seed is sent with its request.

        Raises:
            ConfigError: the endpoint refuses a request, or answers in another form.
            UnavailableError: the endpoint is out of reach.
        """
        return list(self._pool.map(self._answer, prompts, seeds or repeat(None)))

    def _answer(self, prompt: Sequence[Message], seed: int | None) -> Action:
        messages = [message(part.role, part.content) for part in prompt]
        chosen = {} if seed is None else {"seed": seed % SEEDS}
        return Action(self.model.answer(messages, self.task_id, **chosen))


class EndpointModel:
    """A model behind an endpoint in the place of a `LanguageModel`, to play with: it has no weights here.

    Its arguments are environment variables: HERO_POLICY_RECORDING, HERO_POLICY_OFFLINE=1, OPENAI_BASE_URL and
    OPENAI_API_KEY.

    Args:
        model: name of the model at the endpoint.

    Raises:
        ConfigError: a variable is not possible.
    """

    OWNER: Final = Owner("the policy openai:MODEL", "environment variables", "HERO_POLICY")
    context_length: Final = 2**31
    """More than any model reads: the endpoint refuses prompts that are too long for it."""

    def __init__(self, model: str) -> None:
        self._options = with_environment({"model": model}, {"model"}, self.OWNER)
        self.name = f"openai:{model}"
        self.max_new_tokens = 256

    def policy(self, *, temperature: float = 1.0, max_new_tokens: int | None = None) -> EndpointPolicy:
        """Returns a policy."""
        limit = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        return EndpointPolicy(ChatModel(owner=self.OWNER, temperature=temperature, max_tokens=limit, **self._options))


class EndpointReflector:
    """A model behind an endpoint as reflector (2606.11559, external reflector), with a request per episode.

    The key is OPENAI_API_KEY alone. Other environment variables stand in for arguments that are left out:
    HERO_REFLECTOR_MODEL, HERO_REFLECTOR_RECORDING, HERO_REFLECTOR_OFFLINE=1 and OPENAI_BASE_URL.

    Args:
        model: name of the model at the endpoint.
        url: address of the endpoint, up to and without `/chat/completions`.
        seed: seed that is sent with every request; None leaves it out.
        temperature: temperature of sampling; None leaves it out.
        max_tokens: tokens after which an answer is cut off; None leaves it out.
        parameters: more parameters of a request by name, such as `{"max_completion_tokens": 1024}`.
        prices: dollars per million tokens that the model reads and writes.
        attempts: maximum number of attempts at an endpoint that is busy or out of reach.
        wait: seconds before the second attempt, doubled for each one after it, 60 at most.
        timeout: seconds that an attempt may take.
        recording: file that keeps every answer; a request that was answered before is not sent again.
        offline: whether to answer from the recording alone.
        concurrency: number of requests at a time.

    Attributes:
        usage: tokens and dollars so far.

    Raises:
        ConfigError: no model is named, or an argument is not possible.
    """

    OWNER: Final = Owner("the reflector openai", "--reflector-arg", "HERO_REFLECTOR")

    def __init__(
        self,
        *,
        model: str | None = None,
        url: str | None = None,
        seed: int | None = 0,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        parameters: dict[str, Any] | None = None,
        prices: list[float] | None = None,
        attempts: int = 6,
        wait: float = 1.0,
        timeout: float = 60.0,
        recording: str | None = None,
        offline: bool = False,
        concurrency: int = 8,
    ) -> None:
        arguments = locals()
        if concurrency < 1:
            raise ConfigError(f"concurrency = {concurrency} is not possible; give at least 1")
        left_out = [name for name in ("model", "url", "prices", "recording", "offline") if not arguments[name]]
        given = {name: arguments[name] for name in chat_options() if name not in left_out}
        self._model = ChatModel(owner=self.OWNER, **with_environment(given, chat_options(), self.OWNER))
        self.name = f"openai:{self._model.model}"
        self.usage = self._model.usage
        policy = EndpointPolicy(self._model, concurrency=concurrency, task_id="review")
        self._reflector = ModelReflector(policy, self.name)

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns one diagnosis per trajectory, as `ModelReflector.reflect`."""
        return self._reflector.reflect(trajectories)
