"""Conversations to token ids, append-only: what was sampled is spliced in and never encoded again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hero.types import Message

if TYPE_CHECKING:
    pass


class Chat(Protocol):
    """How one model reads conversations."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """The ids that end an action."""
        ...

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """A conversation as a prompt, the header of the reply included.

        The `ids` of a message that has them stand in the result as they are. With a template that does not
        rewrite history, the prompt of a turn therefore begins with the prompt and the action of the turn before.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an action, without stop tokens."""
        ...


class SavableChat(Chat, Protocol):
    """A chat that can be written beside the model's weights."""

    def save(self, path: Path) -> None:
        """Writes the vocabulary into an existing directory."""
        ...


def drift_tokens(ledger: Sequence[int], prompt_ids: Sequence[int]) -> int:
    """How many tokens at the end of the ledger (the previous prompt and action) the new prompt does not repeat.

    0 when the prompt extends the ledger. Anything else means that the template rewrites history, or that the
    renderer drops turns: the new prompt is not the text that the earlier actions were sampled in.
    """
    same = 0
    for old, new in zip(ledger, prompt_ids, strict=False):
        if old != new:
            break
        same += 1
    return len(ledger) - same
