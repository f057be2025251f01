"""Context builders: the whole dialogue so far, or the last turns of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.chat.context import ContextBuilder, conversation, window
from hero.errors import ConfigError
from hero.types import Action, Message, Turn


@given(st.lists(st.tuples(st.text(), st.text()), max_size=6), st.text(), st.text(), st.integers(0, 7))
def test_prompts_are_the_dialogue_so_far(
    played: list[tuple[str, str]], instructions: str, observation: str, size: int
) -> None:
    opening = [Message("system", instructions)] if instructions else []
    turns: list[Turn] = []
    for (seen, action), (following, _) in pairwise([*played, (observation, "")]):
        turns.append(Turn(conversation(opening, turns, seen), Action(action), following, 0.0))
    system = [("system", instructions)] if instructions else []
    dialogue = [line for seen, action in played for line in (("user", seen), ("assistant", action))]
    newest = ("user", observation)

    def plain(build: ContextBuilder) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in build(opening, turns, observation)]

    assert plain(conversation) == [*system, *dialogue, newest]
    assert plain(window(size)) == [*system, *dialogue[max(0, len(dialogue) - 2 * size) :], newest]


def test_a_window_cannot_be_negative() -> None:
    with pytest.raises(ConfigError, match="-1"):
        window(-1)
