"""The chat of the models that ship with the package: a tiktoken encoding and a fixed template."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from hero.errors import ConfigError
from hero.types import Message

if TYPE_CHECKING:
    import tiktoken


class TiktokenChat:
    """Encodes conversations in a tiktoken encoding that has the four special tokens of this template.

    The template is `<|system|>text<|end|><|user|>text<|end|><|assistant|>text<|end|>`. Contents are ordinary text:
    one that spells `<|end|>` ends nothing.

    Raises:
        ConfigError: the encoding lacks one of the special tokens.
    """

    SPECIAL: Final = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    FILE: Final = "tokenizer.tiktoken"
    CONFIG: Final = "tokenizer_config.json"

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        if missing := sorted(set(self.SPECIAL) - encoding.special_tokens_set):
            raise ConfigError(f"encoding {encoding.name!r} lacks {', '.join(missing)}; add them as special tokens")
        self.encoding = encoding
        system, user, assistant, self._end = (encoding.encode_single_token(token) for token in self.SPECIAL)
        self._header = {"system": system, "user": user, "assistant": assistant}
        # Every prompt of an episode repeats the texts of the previous one.
        self._ordinary = lru_cache(maxsize=4096)(lambda text: tuple(encoding.encode_ordinary(text)))

    @classmethod
    def of(cls, ranks: dict[bytes, int], pattern: str) -> Self:
        """Returns the chat with these ranks of tokens, which its special tokens follow in the order of `SPECIAL`.

        Args:
            pattern: splits a text before the merges.
        """
        import tiktoken

        special = {token: len(ranks) + index for index, token in enumerate(cls.SPECIAL)}
        return cls(tiktoken.Encoding("hero-tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special))

    @property
    def stop_ids(self) -> frozenset[int]:
        return frozenset({self._end})

    def encode(self, messages: Sequence[Message]) -> list[int]:
        encoded: list[int] = []
        for message in messages:
            encoded.append(self._header[message.role])
            encoded += message.ids or self._ordinary(message.content)
            if not message.ids or message.ids[-1] != self._end:
                encoded.append(self._end)
        encoded.append(self._header["assistant"])
        return encoded

    def encode_reply(self, text: str) -> list[int]:
        return [*self._ordinary(text), self._end]

    def decode(self, ids: Sequence[int]) -> str:
        return self.encoding.decode([token for token in ids if token != self._end])

    def save(self, path: Path) -> None:
        """Writes the ranks in tiktoken's own format and the pattern that splits a text before the merges.

        The special tokens are not written: they follow the ranks in the order of `SPECIAL`.
        """
        ranks = (self.encoding.decode_single_token_bytes(rank) for rank in range(self._header["system"]))
        lines = [f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(ranks)]
        (path / self.FILE).write_text("".join(lines), encoding="ascii")
        (path / self.CONFIG).write_text(json.dumps({"pattern": self.encoding._pat_str}), encoding="utf-8")
