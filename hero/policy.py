"""What acts: the protocol, and the double that ships with the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from hero.types import Action, Message


@runtime_checkable
class Policy(Protocol):
    """Anything that answers prompts."""

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        """Answers each prompt, independently of the others.

        Args:
            prompts: non-empty conversations, each ending with a user message; may be an empty sequence.
            seeds: one per prompt, 0 to 2**63 - 1, for the random numbers of its answer: equal prompts with equal seeds
                have equal answers, whatever else is asked. A policy that samples nothing ignores them. None to let the
                policy draw from a generator of its own.

        Returns:
            One action per prompt, in the same order.
        """
        ...


@runtime_checkable
class ContextLimited(Protocol):
    """A policy whose prompt and reply have to fit a context, and which can say whether they do."""

    @property
    def context_length(self) -> int:
        """Maximum number of tokens that a prompt and its reply may have together."""
        ...

    def count(self, prompt: Sequence[Message]) -> int:
        """The most tokens that the prompt and a reply to it can come to."""
        ...


class FunctionPolicy:
    """A policy from a plain function of one conversation to the text of the action.

    Example:
        >>> FunctionPolicy(lambda messages: "search[red shoes]").act([[Message("user", "shop")]])[0].text
        'search[red shoes]'
    """

    def __init__(self, function: Callable[[Sequence[Message]], str]) -> None:
        self.function = function

    def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
        return [Action(self.function(prompt)) for prompt in prompts]
