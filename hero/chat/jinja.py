"""A tokenizer's chat template, with all that it is given besides the conversation."""

from __future__ import annotations

import datetime
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hero.errors import ConfigError
from hero.types import JSON

GIVEN: Final = frozenset({"messages", "tools", "documents", "add_generation_prompt", "strftime_now"})
"""Variables that a template is given anyway."""
CLOCK: Final = (
    "{% macro strftime_now(format) %}{% set now = namespace(text=format) %}"
    "{% for code, value in strftime_codes.items() %}{% set now.text = now.text.replace(code, value) %}{% endfor %}"
    "{{ now.text }}{% endmacro %}\n"
)
"""Hides transformers' function of the same name, which looks at the clock; a template is given no functions of ours."""
CODES: Final = tuple(f"%{code}" for code in (*"aAbBcdDeFfGHIjmMpRSTuUVwWxXyYzZ", "-d", "-m", "-H", "-I", "-M", "-S"))
TRACKING: Final = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")
"""The tags that transformers adds to Jinja."""


class ChatTemplate:
    """Renders conversations with the chat template of a tokenizer, alike on every day.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizerBase`.
        variables: what the template reads besides the conversation, such as `enable_thinking`.
        date: the day that a template takes for today, as `2026-11-26`; by default the day on which this is built.

    Raises:
        ConfigError: the template does not read one of the variables, or is given it anyway; the date is none.
    """

    def __init__(self, tokenizer: Any, variables: Mapping[str, JSON], date: str | None) -> None:
        self.tokenizer = tokenizer
        self.variables = dict(variables)
        try:
            day = datetime.date.fromisoformat(date) if date else datetime.date.today()
        except (ValueError, TypeError) as error:
            raise ConfigError(f"the date {date!r} is not a day such as 2026-11-26") from error
        self.date = day.isoformat()
        midnight = datetime.datetime.combine(day, datetime.time())
        self._codes = {code: midnight.strftime(code) for code in CODES}
        if self.variables:
            self._require_read()

    def render(
        self,
        conversation: Iterable[Mapping[str, Any]],
        schemas: Sequence[Mapping[str, Any]] = (),
        *,
        reply: bool = True,
    ) -> str:
        """A conversation as text, with the header of the next reply if there is to be one."""
        tools = list(map(dict, schemas)) or None
        template = self.tokenizer.get_chat_template(tools=tools)
        dated = {"chat_template": CLOCK + template, "strftime_codes": self._codes} if "strftime_now" in template else {}
        text: str = self.tokenizer.apply_chat_template(
            list(conversation), tools=tools, tokenize=False, add_generation_prompt=reply, **dated, **self.variables
        )
        return text

    def _require_read(self) -> None:
        from jinja2 import Environment, TemplateSyntaxError, meta

        found = self.tokenizer.chat_template
        read: set[str] = set()
        for template in found.values() if isinstance(found, dict) else [found]:
            try:
                parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(TRACKING.sub("", template))
            except TemplateSyntaxError:
                return  # rendering says so
            read |= meta.find_undeclared_variables(parsed)
        own = GIVEN | inspect.signature(self.tokenizer.apply_chat_template).parameters.keys()
        for name in self.variables:
            if name in own or name not in read:
                why = "sets it otherwise" if name in own & read else "does not read it"
                others = ", ".join(sorted(read - own)) or "none"
                raise ConfigError(f"the chat template cannot be given {name}: it {why}; it reads {others}")
