"""A model whose weights are trained here, and that acts on a server: vLLM over HTTP, token ids in, ids and scores out.

The server holds the base. After every update the adapter is written where the server can read it, and loaded under a
name of its own, so that no action can come from other weights than its version says.
"""

from __future__ import annotations

import json
import math
import shutil
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from pathlib import Path
from secrets import token_hex
from statistics import fmean
from tempfile import mkdtemp
from threading import Lock
from typing import Any, ClassVar, Final, Self

import torch
from torch import Tensor

from hero.endpoint.client import RefusalError
from hero.endpoint.pool import EndpointPool
from hero.errors import ConfigError, UnavailableError
from hero.models.export import write_adapter
from hero.models.language_model import LanguageModel
from hero.models.lora import STUDENT, adapter_state, is_adapted
from hero.models.sampler import require_room
from hero.models.sharded import is_sharded, whole
from hero.policy import derived_seed
from hero.processes import ALONE, Processes
from hero.types import Action, Message, Tokens

CONCURRENCY: Final = 64
"""Maximum number of requests at a time; the server batches them."""
FAR: Final = 0.1
"""Mean gap between the server's log-probabilities and those of the weights here, in nats, that is not rounding."""
HOW_TO_SERVE: Final = (
    "vllm serve BASE --enable-lora --max-lora-rank RANK --logprobs-mode processed_logprobs, with "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
)


@dataclass
class ServedModel(LanguageModel):
    """A language model whose policies ask a server that has the same base.

    Attributes:
        endpoint: the server, its address with `/v1`.
        is_served: that the weights here are not needed to play.
        processes: those that train; each asks the server, and the first sends the adapter there.
    """

    is_served: ClassVar[bool] = True
    endpoint: EndpointPool = field(kw_only=True)
    processes: Processes = field(default=ALONE, kw_only=True)
    _adapters: Path = field(default_factory=lambda: Path(mkdtemp(prefix="hero-served-")), init=False)
    """Directory of the adapters, which the server must be able to read: TMPDIR says where such directories are."""
    _run: str = field(default_factory=lambda: token_hex(4), init=False)
    _pushed: int = field(default=-1, init=False)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="served"), init=False
    )

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self._adapters, ignore_errors=True)

    @classmethod
    def of(
        cls,
        lm: LanguageModel,
        url: str,
        *,
        key: str = "",
        timeout: float = 300.0,
        processes: Processes = ALONE,
    ) -> Self:
        """Returns a model that acts on a server.

        Args:
            lm: the model, with the adapter that is trained.
            url: address of the server, with `/v1`.
            key: key that is sent as a bearer token; "" sends none.
            timeout: seconds within which a reply has to be complete.
            processes: those that train, the first of which sends the adapter to the server.

        Raises:
            ConfigError: the model has no adapter, or the address cannot be used.
        """
        if not is_adapted(lm.model):
            raise ConfigError("a served model needs an adapter, which is what is sent to the server: give --lora RANK")
        endpoint = EndpointPool(url, key, timeout, attempts=6, wait=1.0)
        made = cls(
            *(lm.model, lm.chat, lm.name, lm.kv_cache_bytes, lm.max_new_tokens, lm.learning_rate),
            endpoint=endpoint,
            processes=processes,
        )
        made._run = made.processes.gather([made._run])[0]
        return made

    def policy(  # type: ignore[override]
        self,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        max_new_tokens: int | None = None,
        version: int | None = None,
    ) -> ServedPolicy:
        """Returns a policy on the server, after the weights of that version are there.

        Args:
            version: number of updates that the weights here have seen; None for the newest on the server.
        """
        if (version is not None and version != self._pushed) or self._pushed < 0:
            weights = {name: whole(weight) for name, weight in adapter_state(self.model, STUDENT).items()}
            if self.processes.is_first:
                self._push(version or 0, weights)
            self.processes.wait()
            self._pushed = version or 0
        limit = self.max_new_tokens if max_new_tokens is None else max_new_tokens
        return ServedPolicy(self, self._name(self._pushed), temperature, seed, limit, self._pushed)

    def _name(self, version: int) -> str:
        return f"hero-{self._run}-{version}"

    def _push(self, version: int, weights: Mapping[str, Tensor]) -> None:
        """Loads the present weights into the server, and has it forget those before."""
        path = self._adapters / self._name(version)
        write_adapter(self.model, path, self.name, weights)
        request = {"lora_name": self._name(version), "lora_path": str(path)}
        try:
            self.endpoint.of_this_thread().ask(request, bytes.decode, "/load_lora_adapter")
        except ConfigError as error:
            raise ConfigError(f"{error}; the server must be able to read {path}, and run as: {HOW_TO_SERVE}") from None
        if self._pushed >= 0:
            old = {"lora_name": self._name(self._pushed)}
            self.endpoint.of_this_thread().ask(old, bytes.decode, "/unload_lora_adapter")
            shutil.rmtree(self._adapters / self._name(self._pushed), ignore_errors=True)

    @torch.no_grad()
    def verify(self, tokens: Tokens) -> None:
        """Compares the log-probabilities of a reply with those of the weights here, if this process has all of them.

        Raises:
            ConfigError: the server has others, or gives log-probabilities from before the temperature.
        """
        if is_sharded(self.model):  # the update compares them, too
            return
        ids = torch.tensor([tokens.prompt_ids + tokens.action_ids], device=self.model.device)
        logits_NV = self.model(input_ids=ids).logits[0, len(tokens.prompt_ids) - 1 : -1].float() / tokens.temperature
        own_N = logits_NV.log_softmax(-1).gather(-1, ids[0, len(tokens.prompt_ids) :, None])[:, 0]
        gap = (own_N.cpu() - torch.tensor(tokens.logprobs)).abs().mean().item()
        if not gap < FAR:
            raise ConfigError(
                f"the server's log-probabilities are {gap:.2g} nats a token from those of the weights here: it has "
                f"another base, or gives them from before the temperature; start it as: {HOW_TO_SERVE}"
            )


class ServedPolicy:
    """Samples on the server, a request per prompt; the ids are the server's, and no text is encoded twice.

    Args:
        name: name of the adapter on the server.
        temperature: 0 is greedy.
        seed: seed of the random numbers, together with the seeds that `act` is given.
        max_new_tokens: maximum length of an action.
        version: number of updates that the weights have seen.
    """

    waits: Final = True

    def __init__(
        self, lm: ServedModel, name: str, temperature: float, seed: int, max_new_tokens: int, version: int
    ) -> None:
        self._lm, self.name, self.temperature, self._seed = lm, name, temperature, seed
        self.max_new_tokens, self.version = max_new_tokens, version
        self._least_likely, self._verifying = math.inf, Lock()

    @property
    def context_length(self) -> int:
        """Maximum number of tokens that a prompt and its reply may have together."""
        return self._lm.context_length

    def count(self, prompt: Sequence[Message]) -> int:
        """Returns the number of tokens of the prompt and the longest reply to it."""
        return len(self._lm.chat.encode(prompt)) + self.max_new_tokens

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Answers each prompt.

        Raises:
            PolicyError: a prompt leaves no room in the model's context.
            ConfigError: the server refuses, or has other weights.
            UnavailableError: the server is out of reach, or its answer cannot be read.
        """
        actions = list(self._lm._pool.map(self._answer, prompts, seeds or repeat(None)))
        for action in actions:
            self._verify(action.tokens)
        return actions

    def _verify(self, tokens: Tokens | None) -> None:
        """Compares a reply with the weights here, if it is less likely than all before, which tells most."""
        if tokens and tokens.action_ids:
            with self._verifying:
                if (likely := fmean(tokens.logprobs)) < self._least_likely:
                    self._lm.verify(tokens)
                    self._least_likely = likely

    def _answer(self, prompt: Sequence[Message], seed: int | None) -> Action:
        ids = tuple(self._lm.chat.encode(prompt))
        require_room(len(ids), self.context_length, self.name)
        room = self.context_length - len(ids)
        request: dict[str, Any] = {
            "model": self.name,
            "prompt": list(ids),
            "max_tokens": min(self.max_new_tokens, room),
            "temperature": self.temperature,
            "stop_token_ids": sorted(self._lm.chat.stop_ids),
            "logprobs": 1,
            "return_token_ids": True,
            "add_special_tokens": False,
        }
        if seed is not None:
            request["seed"] = derived_seed(self._seed, seed) % 2**31
        endpoint = self._lm.endpoint.of_this_thread()
        try:
            sampled, logprobs, finished = endpoint.ask(request, partial(_read, ids), "/completions")
        except RefusalError:
            raise
        except ConfigError as error:
            raise UnavailableError(str(error)) from None  # a run that is stopped so goes on later
        text = self._lm.chat.decode(sampled)
        return Action(text, Tokens(ids, sampled, logprobs, self.version, self.temperature or 1.0), not finished)


def _read(prompt: tuple[int, ...], body: bytes) -> tuple[tuple[int, ...], tuple[float, ...], bool]:
    """Returns ids and log-probabilities of a reply, and whether it ended by itself.

    Raises:
        ValueError, LookupError, TypeError: the answer has another form, or is about another prompt.
    """
    (choice,) = json.loads(body)["choices"]
    sampled, logprobs = tuple(map(int, choice["token_ids"])), tuple(map(float, choice["logprobs"]["token_logprobs"]))
    if len(sampled) != len(logprobs) or tuple(choice.get("prompt_token_ids") or prompt) != prompt:
        raise ValueError
    return sampled, logprobs, choice["finish_reason"] != "length"
