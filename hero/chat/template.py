"""The chat of Hugging Face tokenizers, append-only whatever their template does with the words of the assistant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from hero.chat.jinja import ChatTemplate
from hero.chat.tools import ANSWER, QUESTION, writes_tools
from hero.errors import ConfigError, PolicyError, translate_errors
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

    Where the template has no system role, the system text opens the first user message. Where it `writes_tools`, it is
    given those of a message (`Message.tools`) in place of the words for them.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizerBase`.
        stop_ids: what ends a reply, besides what the tokenizer and its template say.
        template_args: variables of the template, such as `enable_thinking`.
        date: the day that the template takes for today, as `2026-11-26`; by default the day on which this is built.

    Raises:
        ConfigError: the tokenizer has no chat template, none that can be used, or nothing in it ends a reply; the
            template drops, reorders or repeats messages, or does not read one of the `template_args`.
    """

    def __init__(
        self,
        tokenizer: Any,
        stop_ids: Iterable[int] = (),
        template_args: Mapping[str, JSON] | None = None,
        date: str | None = None,
    ) -> None:
        if not tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer {tokenizer.name_or_path!r} has no chat template; "
                "take the instruct version of the model, or set `chat_template`"
            )
        self.tokenizer = tokenizer
        self._folds_system = False
        with translate_errors(
            ConfigError,
            f"the chat template of {tokenizer.name_or_path!r} cannot be used (set another `chat_template`)",
        ):
            self._template = ChatTemplate(tokenizer, template_args or {}, date)
            self._folds_system = not self._takes_system()
            self._require_faithful()
            before, _, after = self._render([QUESTION, {**ANSWER, "content": MARK}, QUESTION]).partition(MARK)
            padding = before.removeprefix(self._render([QUESTION]))
            # Some templates set a blank before an action and expect the model to sample it: then it is in the ids.
            self._padding = padding if padding.isspace() else ""
            self._stop_ids = self._endings(after, stop_ids)
        self._writes_tools = writes_tools(self._render, MARK)

    @property
    def stop_ids(self) -> frozenset[int]:
        return self._stop_ids

    @property
    def template_args(self) -> Mapping[str, JSON]:
        """The variables of the template."""
        return self._template.variables

    @property
    def date(self) -> str:
        """The day that the template takes for today, as `2026-11-26`."""
        return self._template.date

    def encode(self, messages: Sequence[Message]) -> list[int]:
        messages, schemas = _apart(messages) if self._writes_tools else (messages, ())
        sampled = [message.ids for message in messages if message.ids]
        texts = [*(message.content for message in messages), json.dumps(list(map(dict, schemas)), ensure_ascii=False)]
        fence = _fence(texts)
        marks = iter(_marks(fence, len(sampled)))
        conversation = [
            {"role": message.role, "content": next(marks) if message.ids else message.content} for message in messages
        ]
        with translate_errors(PolicyError, "the chat template cannot write this conversation"):
            chunks, found = _apart_from_marks(fence, self._render(conversation, schemas))
            if found != list(range(len(sampled))):
                raise PolicyError(
                    "the chat template does not repeat the assistant's messages as they were, once and in order; "
                    "take another"
                )
            encoded: list[int] = []
            for chunk, ids in zip(chunks, sampled, strict=False):
                encoded += self._after(encoded, chunk.removesuffix(self._padding))
                encoded += ids
            return encoded + self._after(encoded, chunks[-1])

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
        # Half a surrogate pair, which JSON can write, is a text that no tokenizer takes.
        ids: list[int] = self.tokenizer.encode(text.encode(errors="replace").decode(), add_special_tokens=False)
        repeated = before and before[-1] in self._stop_ids and ids[:1] == [before[-1]]
        return ids[1:] if repeated else ids

    def _render(
        self,
        conversation: Sequence[Mapping[str, Any]],
        schemas: Sequence[Mapping[str, Any]] = (),
        *,
        reply: bool = True,
    ) -> str:
        """A conversation as text, with the header of the next reply if there is to be one."""
        conversation = _fold_system(conversation) if self._folds_system else conversation
        return self._template.render(conversation, schemas, reply=reply)

    def _takes_system(self) -> bool:
        from jinja2 import TemplateError

        try:
            return MARK in self._render([{"role": "system", "content": MARK}, QUESTION])
        except TemplateError:  # what a template's own raise_exception raises
            return False

    def _require_faithful(self) -> None:
        """Refuses a template that loses messages, moves them, or writes those of the assistant again."""
        conversation = [
            {"role": "assistant" if place % 2 else "user", "content": mark}
            for place, mark in enumerate(_marks(MARK, 5))
        ]
        _, found = _apart_from_marks(MARK, self._render(conversation))
        if list(dict.fromkeys(found)) != list(range(5)) or any(found.count(place) > 1 for place in (1, 3)):
            raise ConfigError(
                f"the chat template of {self.tokenizer.name_or_path!r} drops, reorders or repeats messages; set "
                "another `chat_template`"
            )

    def _endings(self, after: str, others: Iterable[int]) -> frozenset[int]:
        """The stop tokens: the tokenizer's own, what the template sets after a reply, and others."""
        endings = {self.tokenizer.eos_token_id, *others} - {None}
        special = self.tokenizer.added_tokens_decoder
        endings.update(token for token in self._after((), after)[:1] if token in special)
        if not endings:
            raise ConfigError(f"nothing ends a reply of {self.tokenizer.name_or_path!r}; set its `eos_token`")
        return frozenset(endings)


def _fence(texts: Iterable[str]) -> str:
    """What a mark begins with: a string that occurs in none of the texts."""
    joined = "".join(texts)
    return MARK if MARK not in joined else next(f for n in count() if (f := f"{MARK}{n}:") not in joined)


def _marks(fence: str, count: int) -> list[str]:
    return [f"{fence}{place};" for place in range(count)]


def _apart_from_marks(fence: str, text: str) -> tuple[list[str], list[int]]:
    """The text between the marks, and their numbers; -1 for what is left of a mark that was cut."""
    pieces = re.split(f"{fence}(?:([0-9]+);)?", text)
    return pieces[::2], [int(number or -1) for number in pieces[1::2]]


def _apart(messages: Sequence[Message]) -> tuple[Sequence[Message], tuple[Mapping[str, JSON], ...]]:
    """The messages without the words for tools, and the schemas of these."""
    told = [message.tools for message in messages if message.tools]
    without = [replace(m, content=m.tools.content, tools=None) if m.tools else m for m in messages]
    return without, tuple(schema for tools in told for schema in tools.schemas)


def _fold_system(conversation: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The system text at the head of the first user message, for templates without a system role."""
    if not conversation or conversation[0]["role"] != "system":
        return conversation
    system, first, *others = conversation
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
