"""Render a tokenizer's Jinja chat template, with its variables and a date that does not change."""

from __future__ import annotations

import datetime
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hero.errors import ConfigError
from hero.types import JSON

GIVEN: Final = frozenset({"messages", "tools", "documents", "add_generation_prompt", "strftime_now"})
"""Variables that every template is given."""
CLOCK: Final = (
    "{% macro strftime_now(format) %}{% set now = namespace(text=format) %}"
    "{% for code, value in strftime_codes.items() %}{% set now.text = now.text.replace(code, value) %}{% endfor %}"
    "{{ now.text }}{% endmacro %}\n"
)
"""A macro in place of transformers' function of the same name, which reads the clock; functions cannot be passed in."""
CODES: Final = tuple(f"%{code}" for code in (*"aAbBcdDeFfGHIjmMpRSTuUVwWxXyYzZ", "-d", "-m", "-H", "-I", "-M", "-S"))
TRACKING: Final = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")
"""Tags that transformers adds to Jinja."""


class JinjaTemplate:
    """Renders conversations with the chat template of a tokenizer, in the same way on every day.

    Args:
        tokenizer: a `transformers.PreTrainedTokenizerBase`.
        variables: variables of the template besides the conversation, such as `enable_thinking`.
        date: the day that the template takes for today, as `2026-11-26`; by default the day on which this is built.

    Raises:
        ConfigError: the template does not read one of the variables, or transformers sets it; the date is not valid.
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
        """Returns a conversation as text, with the header of the next reply if `reply` is set."""
        tools = list(map(dict, schemas)) or None
        template = self.tokenizer.get_chat_template(tools=tools)
        dated = {"chat_template": CLOCK + template, "strftime_codes": self._codes} if "strftime_now" in template else {}
        text: str = self.tokenizer.apply_chat_template(
            list(conversation), tools=tools, tokenize=False, add_generation_prompt=reply, **dated, **self.variables
        )
        return text

    def _require_read(self) -> None:
        """Requires that the template, or one of several, reads each of the variables."""
        from jinja2 import Environment, TemplateSyntaxError, meta

        templates = self.tokenizer.chat_template
        variables: set[str] = set()
        for template in templates.values() if isinstance(templates, dict) else [templates]:
            try:
                parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(TRACKING.sub("", template))
            except TemplateSyntaxError:
                return  # rendering reports it
            variables |= meta.find_undeclared_variables(parsed)
        reserved = GIVEN | inspect.signature(self.tokenizer.apply_chat_template).parameters.keys()
        for name in self.variables:
            if name in reserved or name not in variables:
                reason = "is set by transformers" if name in reserved & variables else "is not read"
                free = ", ".join(sorted(variables - reserved)) or "no variables"
                raise ConfigError(f"the chat template cannot be given {name}, which {reason}; it reads {free}")
