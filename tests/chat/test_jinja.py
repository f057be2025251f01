"""Variables reach a chat template, and its date does not change."""

from __future__ import annotations

import copy
import datetime
from typing import Any, Final

import pytest

from hero.chat.template import TemplateChat
from hero.errors import ConfigError
from hero.testing.templates import CHATML, HERMES, LOOP, tokenizer
from hero.types import Message

DATED: Final = CHATML.replace(
    "You are a helpful AI assistant", "Today is ' + (date_string or strftime_now('%d %b %Y')) + '. You are a helper"
)
ASKED: Final = (
    "{% generation %}{% endgeneration %}{% macro head() %}{{ strftime_now('%Y-%m-%d') }}{% endmacro %}"
    + LOOP
    + "{% set thinking = thinking | default(true) %}{% if add_generation_prompt %}{{ '' if thinking else '[]' }}"
    "{{ head() }}{% for part in parts %}{% if part %}{{ part }}{% continue %}{% endif %}{% endfor %}{% endif %}"
)


def spoken(chat: TemplateChat) -> str:
    return str(chat.tokenizer.decode(chat.encode([Message("user", "ab")])))


def test_variables_reach_the_template() -> None:
    assert spoken(TemplateChat(tokenizer(ASKED), date="2026-11-26")) == "ab</s>2026-11-26"
    chat = TemplateChat(
        tokenizer(ASKED), template_args={"thinking": False, "parts": ["x", None, "y"]}, date="2025-01-02"
    )
    assert spoken(chat) == "ab</s>[]2025-01-02xy"
    assert (chat.template_args, chat.date) == ({"thinking": False, "parts": ["x", None, "y"]}, "2025-01-02")
    assert "Today is 1 April." in spoken(TemplateChat(tokenizer(DATED), template_args={"date_string": "1 April"}))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("enable_thinking", "is not read; it reads bos_token|is not read; it reads date_string"),
        ("message", "is not read"),
        ("content", "is not read"),
        ("tokenize", "is not read"),
        ("messages", "is set by transformers"),
        ("add_generation_prompt", "is set by transformers"),
        ("strftime_now", "is set by transformers"),
    ],
)
def test_a_variable_that_does_nothing_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot be given {name}, which ({reason})"):
        TemplateChat(tokenizer(DATED), template_args={name: False})


def test_a_template_of_several_reads_what_any_of_them_reads() -> None:
    several: Any = copy.deepcopy(tokenizer(None))
    several.chat_template = {"default": ASKED, "tool_use": HERMES}
    assert spoken(TemplateChat(several, template_args={"thinking": False}, date="2025-01-02")) == "ab</s>[]2025-01-02"


class Later(datetime.datetime):
    """A clock that is ahead."""

    @classmethod
    def now(cls, tz: Any = None) -> Later:
        return cls(2031, 5, 6)


class LaterDate(datetime.date):
    """A day on that clock."""

    @classmethod
    def today(cls) -> LaterDate:
        return cls(2031, 5, 6)


def test_two_of_the_same_date_read_alike_on_any_day(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import chat_template_utils

    today, given = TemplateChat(tokenizer(DATED)), TemplateChat(tokenizer(DATED), date="2026-11-26")
    before = [spoken(today), spoken(given)]
    monkeypatch.setattr(chat_template_utils, "datetime", Later)
    assert "06 May 2031" in tokenizer(DATED).apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
    assert [spoken(today), spoken(given)] == before
    assert [spoken(TemplateChat(tokenizer(DATED), date=chat.date)) for chat in (today, given)] == before
    assert "26 Nov 2026" in before[1]


def test_the_date_is_by_default_the_day_of_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datetime, "date", LaterDate)
    assert TemplateChat(tokenizer(DATED)).date == "2031-05-06"


@pytest.mark.parametrize("date", ["26.11.2026", "2026-13-01", "today", 20261126])
def test_a_date_that_is_not_valid_is_refused(date: str) -> None:
    with pytest.raises(ConfigError, match="is not a day such as 2026-11-26"):
        TemplateChat(tokenizer(CHATML), date=date)
