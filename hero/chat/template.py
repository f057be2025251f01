"""The chat of a Hugging Face tokenizer: its template writes everything but sampled ids, which are spliced in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

from hero.chat.jinja import JinjaTemplate
from hero.chat.tools import ANSWER, QUESTION, supports_tools
from hero.errors import ConfigError, PolicyError, translate_errors
from hero.types import JSON, Message

MARK: Final = "\ue000"
"""A private-use character: no template and hardly any text contains it."""


class TemplateChat:
    """Encodes conversations with the chat template of any Hugging Face tokenizer that has one.

    The template is rendered with a mark in place of each sampled action, so it never sees, trims or rewrites one; the
    text between the marks is encoded, and the sampled ids go where the marks were, behind the header that they were
    sampled behind: a thought that the template opened stays, also where it writes none in the past, and one that it
    writes there alone is left out, since the model writes it itself. A template that changes anything else of the past
    forks the ledger, and `drift_tokens` is above 0. All other text is encoded as Hugging Face does it: a content that
    spells a special token is read as that token.

    If the template has no system role, the system text opens the first user message. If it supports tools (see
    `supports_tools`), it is given the schemas of `Message.tools`, and the content without their description.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizerBase`.
        stop_ids: ids that end a reply, besides those of the tokenizer and its template.
        template_args: variables of the template, such as `enable_thinking`.
        date: the day that the template takes for today, as `2026-11-26`; by default the day on which this is built.

    Raises:
        ConfigError: the tokenizer has no chat template, or none that can be used; nothing ends a reply; the template
            drops, reorders or repeats messages, or does not read one of the `template_args`.
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
            self._template = JinjaTemplate(tokenizer, template_args or {}, date)
            self._folds_system = not self._has_system_role()
            self._require_faithful()
            self._asked = self._render([QUESTION])
            self._asked_ids = self._after((), self._asked)
            # Before an action in the past some templates leave out what they opened the reply with, mostly a thought.
            self._shared_header, self._opening, self._past_header = self._headers()
            # Others write there what the model is expected to sample, so that it is in the ids: a blank, an empty
            # thought, or the channel of the message.
            self._header = "" if self._opening else self._past_header
            self._stop_id, *others = self._endings(stop_ids)
            self._stop_ids = frozenset({self._stop_id, *others})
        self._supports_tools = supports_tools(self._render, MARK)

    @property
    def stop_ids(self) -> frozenset[int]:
        return self._stop_ids

    @property
    def template_args(self) -> Mapping[str, JSON]:
        """Variables of the template."""
        return self._template.variables

    @property
    def date(self) -> str:
        """Day that the template takes for today, as `2026-11-26`."""
        return self._template.date

    def encode(self, messages: Sequence[Message]) -> list[int]:
        messages, schemas = _separate_tools(messages) if self._supports_tools else (messages, ())
        sampled = [message.ids for message in messages if message.ids]
        texts = [*(message.content for message in messages), json.dumps(list(map(dict, schemas)), ensure_ascii=False)]
        fence = _fence(texts)
        marks = iter(_marks(fence, len(sampled)))
        conversation = [
            {"role": message.role, "content": next(marks) if message.ids else message.content} for message in messages
        ]
        with translate_errors(PolicyError, "the chat template cannot write this conversation"):
            chunks, numbers = _split_at_marks(fence, self._render(conversation, schemas))
            if numbers != list(range(len(sampled))):
                raise PolicyError(
                    "the chat template does not repeat the assistant's messages as they were, once and in order; "
                    "set another `chat_template`"
                )
            encoded: list[int] = []
            for chunk, ids in zip(chunks, sampled, strict=False):
                encoded += self._after(encoded, self._as_asked(chunk))
                encoded += ids
            return encoded + self._after(encoded, chunks[-1])

    def encode_reply(self, text: str) -> list[int]:
        # After a prompt: at the beginning of a text some tokenizers add a blank.
        reply, before = self._header + text, self._asked_ids
        ids = self._after((), self._asked + reply)
        ids = ids[len(before) :] if ids[: len(before)] == before else self._after((), reply)
        return [*ids, self._stop_id]

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(
            [token for token in ids if token not in self._stop_ids], clean_up_tokenization_spaces=False
        )
        return text if self._header.isspace() else text.removeprefix(self._header)

    def save(self, path: Path) -> None:
        """Writes the tokenizer with its template into a directory."""
        self.tokenizer.save_pretrained(path)

    def _as_asked(self, chunk: str) -> str:
        """Returns what is written before a sampled action, ending as it did when the model read it."""
        # The opening alone may be how a header in the past ends, too: that of GLM 4.7 is <think> or </think>.
        if self._opening and chunk.endswith(self._shared_header + self._opening):
            return chunk
        return chunk.removesuffix(self._past_header) + self._opening

    def _after(self, before: Sequence[int], text: str) -> list[int]:
        """Encodes template text, without the stop token that it begins with if that was sampled already."""
        # Tokenizers reject half a surrogate pair, which JSON can contain.
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
        """Renders a conversation, with the header of the next reply if `reply` is set."""
        conversation = _fold_system(conversation) if self._folds_system else conversation
        return self._template.render(conversation, schemas, reply=reply)

    def _has_system_role(self) -> bool:
        from jinja2 import TemplateError

        try:
            return MARK in self._render([{"role": "system", "content": MARK}, QUESTION])
        except TemplateError:  # by raise_exception in the template
            return False

    def _require_faithful(self) -> None:
        """Requires that the template writes each message, in order, and those of the assistant once."""
        conversation = [
            {"role": "assistant" if index % 2 else "user", "content": mark}
            for index, mark in enumerate(_marks(MARK, 5))
        ]
        _, numbers = _split_at_marks(MARK, self._render(conversation))
        if list(dict.fromkeys(numbers)) != list(range(5)) or any(numbers.count(index) > 1 for index in (1, 3)):
            raise ConfigError(
                f"the chat template of {self.tokenizer.name_or_path!r} drops, reorders or repeats messages; set "
                "another `chat_template`"
            )

    def _headers(self) -> tuple[str, str, str]:
        """Returns how a template ends a prompt, and how it writes the same before an action in the past.

        First what both have in common after the question, then the rest of each; all are "" where more differs than the
        header of the reply.
        """
        past, _ = self._around_answer([QUESTION])
        pairs = enumerate(zip(self._asked, past, strict=False))
        shared = next((index for index, (a, b) in pairs if a != b), min(len(self._asked), len(past)))
        _, question, header = past[:shared].rpartition(QUESTION["content"])
        return (header, self._asked[shared:], past[shared:]) if question else ("", "", "")

    def _around_answer(self, rest: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
        """Returns what the template writes before and after an action, to which there is an answer if `rest` has it."""
        from jinja2 import TemplateError

        try:
            talk = self._render([QUESTION, {**ANSWER, "content": MARK}, *rest], reply=bool(rest))
        except TemplateError:  # the template may not end with an answer
            if rest:
                raise
            talk = ""
        before, _, after = talk.partition(MARK)
        return before, after

    def _endings(self, others: Iterable[int]) -> list[int]:
        """Lists the stop tokens: the one that the template writes after a reply, the tokenizer's own, and others.

        What ends a reply in the past may also end a thought within a reply (gpt-oss): so the one after the latest reply
        counts, where there is one.
        """
        special, own = self.tokenizer.added_tokens_decoder, self.tokenizer.eos_token_id
        written = (self._after((), self._around_answer(rest)[1])[:1] for rest in ([], [QUESTION]))
        endings = next(([token] for token, *_ in filter(None, written) if token in special), [])
        endings += [*([] if own is None else [own]), *others]
        if not endings:
            raise ConfigError(f"nothing ends a reply of {self.tokenizer.name_or_path!r}; set its `eos_token`")
        return endings


def _fence(texts: Iterable[str]) -> str:
    """Returns a beginning for marks, which occurs in none of the texts."""
    joined = "".join(texts)
    return MARK if MARK not in joined else next(f for n in count() if (f := f"{MARK}{n}:") not in joined)


def _marks(fence: str, count: int) -> list[str]:
    return [f"{fence}{number};" for number in range(count)]


def _split_at_marks(fence: str, text: str) -> tuple[list[str], list[int]]:
    """Splits a text; returns the pieces and the numbers of the marks between them, -1 for a mark that was cut."""
    pieces = re.split(f"{fence}(?:([0-9]+);)?", text)
    return pieces[::2], [int(number or -1) for number in pieces[1::2]]


def _separate_tools(messages: Sequence[Message]) -> tuple[Sequence[Message], tuple[Mapping[str, JSON], ...]]:
    """Returns the messages without descriptions of tools, and the schemas of these tools."""
    schemas = tuple(schema for message in messages if message.tools for schema in message.tools.schemas)
    return [replace(m, content=m.tools.content, tools=None) if m.tools else m for m in messages], schemas


def _fold_system(conversation: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Puts the system text at the head of the first user message, for templates without a system role."""
    if not conversation or conversation[0]["role"] != "system":
        return conversation
    system, first, *others = conversation
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *others]
