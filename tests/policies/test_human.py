"""What a person is shown, and what becomes of the answer."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hero.policies.human import HumanPolicy
from hero.types import Action, Message

FIRST = [Message("system", "Buy [well]."), Message("user", "Page [red]one[/red]")]
SECOND = [*FIRST, Message("assistant", "click[x]"), Message("user", "Page two")]


def answer(monkeypatch: pytest.MonkeyPatch, typed: str, *prompts: list[Message]) -> tuple[list[Action], str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    screen = io.StringIO()
    return HumanPolicy(Console(file=screen, width=60)).act(prompts), screen.getvalue()


def test_the_answer_is_the_action(monkeypatch: pytest.MonkeyPatch) -> None:
    actions, _ = answer(monkeypatch, "search[a]\n click[b] \n", FIRST, FIRST)
    assert actions == [Action("search[a]"), Action("click[b]")]


def test_instructions_are_shown_at_the_start_and_texts_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    _, screen = answer(monkeypatch, "x\n", FIRST)
    assert "Buy [well]." in screen
    assert "Page [red]one[/red]" in screen


def test_later_turns_show_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    _, screen = answer(monkeypatch, "x\n", SECOND)
    assert "Page two" in screen
    assert "Buy" not in screen
    assert "one" not in screen


def test_the_end_of_the_input_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EOFError):
        answer(monkeypatch, "", FIRST)
