"""Context builders: functions that write the prompt of the next turn from an episode so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from hero.errors import ConfigError
from hero.types import Message, Turn

ContextBuilder: TypeAlias = Callable[[Sequence[Message], Sequence[Turn], str], tuple[Message, ...]]
"""A function of (opening, turns so far, newest observation) that returns the next prompt."""


def conversation(opening: Sequence[Message], turns: Sequence[Turn], observation: str) -> tuple[Message, ...]:
    """Builds a prompt of the whole episode: the opening, then observations and actions in turn."""
    played = tuple(message for turn in turns for message in (turn.prompt[-1], turn.action.message()))
    return (*opening, *played, Message("user", observation))


def window(size: int) -> ContextBuilder:
    """Returns a context builder that keeps the opening, the last `size` turns and the newest observation.

    Dropping turns forks the token ledger: `drift_tokens` is above 0 from turn `size` + 1 on.

    Raises:
        ConfigError: a negative size.
    """
    if size < 0:
        raise ConfigError(f"a window of {size} turns is not possible; give 0 or more")

    def build(opening: Sequence[Message], turns: Sequence[Turn], observation: str) -> tuple[Message, ...]:
        return conversation(opening, turns[max(0, len(turns) - size) :], observation)

    return build
