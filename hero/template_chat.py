"""The chat of Hugging Face tokenizers, append-only whatever their template does with the words of the assistant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hero.errors import ConfigError, PolicyError
from hero.types import JSON, Message

MARK: Final = "\ue000"
"""A private-use character: no template knows it, hardly a text holds it."""


class TemplateChat:
    """The chat of any Hugging Face tokenizer that brings a chat template.

    The template is rendered with marks in the place of what was sampled, so it never sees, trims or rewrites that; the
    text between the marks is encoded, and the sampled ids go where the marks were. A template can still put a message
    of the past behind another header than the one that it was sampled behind, as templates of thinking models do: then
    the ledger forks, and `drift_tokens` is above 0. All other text is encoded as Hugging Face does it: a content that
    spells a special token is read as that token.

    Where the template has no system role, the system text opens the first user message. Where it writes tools, and puts
    them once before all that is said, it is given those of a message (`Message.tools`) in place of the words for them.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizerBase`.

    Raises:
        ConfigError: the tokenizer has no chat template, or nothing in it ends a reply.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer {tokenizer.name_or_path!r} has no chat template; "
                "take the instruct version of the model, or set `chat_template`"
            )
        self.tokenizer = tokenizer
        self._folds_system = not self._takes_system()
        self._writes_tools = self._takes_tools()
        question = {"role": "user", "content": "?"}
        before, _, after = self._render([question, {"role": "assistant", "content": MARK}, question]).partition(MARK)
        padding = before.removeprefix(self._render([question]))
        # Some templates set a blank before an action and expect the model to sample it: then it is in the ids already.
        self._padding = padding if padding.isspace() else ""
        self._stop_ids = self._endings(after)

    @property
    def stop_ids(self) -> frozenset[int]:
        return self._stop_ids

    def encode(self, messages: Sequence[Message]) -> list[int]:
        messages, schemas = _apart(messages) if self._writes_tools else (messages, ())
        messages = _fold_system(messages) if self._folds_system else messages
        sampled = [message.ids for message in messages if message.ids]
        texts = [*(message.content for message in messages), json.dumps(schemas, ensure_ascii=False)]
        marks = _marks(len(sampled), texts)
        names = iter(marks)
        text = self._render(
            [
                {"role": message.role, "content": next(names) if message.ids else message.content}
                for message in messages
            ],
            schemas,
        )
        encoded: list[int] = []
        for ids, mark in zip(sampled, marks, strict=True):
            chunk, found, text = text.partition(mark)
            if not found:
                raise PolicyError(
                    "the chat template does not repeat the assistant's messages as they were; take another"
                )
            encoded += self._after(encoded, chunk.removesuffix(self._padding))
            encoded += ids
        return encoded + self._after(encoded, text)

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(
            [token for token in ids if token not in self._stop_ids], clean_up_tokenization_spaces=False
        )
        return text

    def save(self, path: Path) -> None:
        """Writes the tokenizer with its template into a directory."""
        self.tokenizer.save_pretrained(path)

    def _after(self, before: Sequence[int], text: str) -> list[int]:
        """The ids of template text; the stop token that it begins with is left out where it was sampled already."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        repeated = before and before[-1] in self._stop_ids and ids[:1] == [before[-1]]
        return ids[1:] if repeated else ids

    def _render(self, conversation: list[dict[str, str]], schemas: Sequence[Mapping[str, JSON]] = ()) -> str:
        text: str = self.tokenizer.apply_chat_template(
            conversation, tools=list(schemas) or None, tokenize=False, add_generation_prompt=True
        )
        return text

    def _takes_system(self) -> bool:
        from jinja2 import TemplateError

        try:
            text = self._render([{"role": "system", "content": MARK}, {"role": "user", "content": "?"}])
        except TemplateError:  # what a template's own raise_exception raises
            return False
        return MARK in text

    def _takes_tools(self) -> bool:
        """Whether the template writes tools, and where no later message moves them."""
        name = "probe_of_tools"
        parameters: JSON = {"type": "object", "properties": {}}
        function: JSON = {"name": name, "description": "?", "parameters": parameters}
        question, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}
        try:
            now, later = (
                self._render(talk, [{"type": "function", "function": function}]).split(name)
                for talk in ([question], [question, answer, question])
            )
        except Exception:  # whatever a template raises that does not know tools
            return False
        return len(now) > 1 and now[:-1] == later[:-1]

    def _endings(self, after: str) -> frozenset[int]:
        """The stop tokens: the tokenizer's own, and what the template sets after a reply."""
        endings = {self.tokenizer.eos_token_id} - {None}
        special = self.tokenizer.added_tokens_decoder
        endings.update(token for token in self._after((), after)[:1] if token in special)
        if not endings:
            raise ConfigError(f"nothing ends a reply of {self.tokenizer.name_or_path!r}; set its `eos_token`")
        return frozenset(endings)


def _marks(count: int, texts: Sequence[str]) -> list[str]:
    """Strings that occur in none of the texts, and none in another."""
    fence = MARK
    while any(fence in text for text in texts):
        fence += MARK
    return [f"{fence}{place};" for place in range(count)]


def _apart(messages: Sequence[Message]) -> tuple[Sequence[Message], tuple[Mapping[str, JSON], ...]]:
    """The messages without the words for tools, and the schemas of these."""
    told = [message.tools for message in messages if message.tools]
    without = [replace(m, content=m.tools.content, tools=None) if m.tools else m for m in messages]
    return without, tuple(schema for tools in told for schema in tools.schemas)


def _fold_system(messages: Sequence[Message]) -> list[Message]:
    """The system text at the head of the first user message, for templates without a system role."""
    if not messages or messages[0].role != "system":
        return list(messages)
    system, first, *others = messages
    return [Message(first.role, f"{system.content}\n\n{first.content}"), *others]
