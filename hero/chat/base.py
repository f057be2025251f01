"""The protocol of a chat, which turns conversations into token ids without encoding sampled ids again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hero.types import Message


class Chat(Protocol):
    """Encodes conversations for one model, and decodes what the model samples."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an action."""
        ...

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Returns the prompt ids of a conversation, the header of the reply included.

        The `ids` of a message that has them are part of the result as they are. The prompt of a turn therefore begins
        with the prompt and the action of the turn before, unless the template rewrites history.
        """
        ...

    def encode_reply(self, text: str) -> list[int]:
        """Returns the ids with which a model would sample a reply, the stop token included."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of an action, without stop tokens."""
        ...


class SavableChat(Chat, Protocol):
    """A chat that can be saved next to the weights of its model."""

    def save(self, path: Path) -> None:
        """Writes the vocabulary into an existing directory."""
        ...


def drift_tokens(ledger: Sequence[int], prompt_ids: Sequence[int]) -> int:
    """Returns the number of tokens at the end of the ledger that a new prompt does not repeat.

    It is 0 if the prompt extends the ledger. Otherwise the template rewrites history or turns were dropped, so that
    earlier actions now follow another text than the one that they were sampled after.

    Args:
        ledger: the previous prompt and action.
    """
    repeated = 0
    for old, new in zip(ledger, prompt_ids, strict=False):
        if old != new:
            break
        repeated += 1
    return len(ledger) - repeated
