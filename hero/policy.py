"""The protocol of policies, which act in environments, and its simplest implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from hero.types import Action, Message


@runtime_checkable
class Policy(Protocol):
    """Answers prompts with actions.

    One that waits for something outside of this process may say so with an attribute `waits`, True: then `rollout` has
    each episode ask by itself, several at a time.
    """

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Answers each prompt, independently of the others.

        Args:
            prompts: any number of conversations, none of them empty, each ending with a user message.
            seeds: one per prompt, 0 to 2**63 - 1, for the random numbers of its answer: equal prompts with equal seeds
                have equal answers, whatever other prompts there are. A policy that samples nothing ignores them. None
                lets the policy draw from a generator of its own.

        Returns:
            One action per prompt, in the same order.
        """
        ...


@runtime_checkable
class ContextLimited(Protocol):
    """A policy with a bounded context, which can count the tokens of a prompt and its reply."""

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a prompt and its reply together."""
        ...

    def count(self, prompt: Sequence[Message]) -> int:
        """Returns the largest number of tokens that the prompt and a reply to it can have."""
        ...


Script: TypeAlias = Callable[[Sequence[Message]], str]
"""A player: a function from a conversation, the newest observation last, to the text of an action.

It keeps nothing between calls, so that it can be asked about any turn of any episode.
"""


class FunctionPolicy:
    """Acts by a plain function from one conversation to the text of the action.

    Example:
        >>> FunctionPolicy(lambda messages: "search[red shoes]").act([[Message("user", "shop")]])[0].text
        'search[red shoes]'
    """

    def __init__(self, function: Script) -> None:
        self.function = function

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Returns an action without tokens for each prompt; ignores the seeds."""
        return [Action(self.function(prompt)) for prompt in prompts]


def derived_seed(seed: int, *key: int) -> int:
    """Returns the seed of the random stream that a key names among those of a seed, for `Policy.act`.

    Streams depend on nothing but seed and key. The result is from 0 to 2**63 - 1, which servers of models accept, too.

    Args:
        seed: 0 or more, like each number of `key`.
    """
    import numpy as np

    (word,) = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return int(word) >> 1
