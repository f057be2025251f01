"""Episodes of the environment from drawn moves."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hero.envs.webshop.env import WebShopEnv

strings = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.text("searchlik[]< >\n", max_size=20),
    st.builds("{}[{}]".format, st.sampled_from(["search", "click", " Click", "SEARCH"]), st.text(max_size=10)),
)
moves = st.lists(st.one_of(strings, st.integers(0, 30)), max_size=15)
"""Actions: a string is sent as it is, a number chooses one of the available actions."""


def play(env: WebShopEnv, drawn: list[str | int], **reset: Any) -> list[Any]:
    """Plays an episode and returns, for reset and every step, the action and the result."""
    observation, info = env.reset(**reset)
    return play_on(env, [("", observation, 0.0, False, False, info)], drawn)


def play_on(env: WebShopEnv, record: list[Any], drawn: list[str | int]) -> list[Any]:
    """Plays an episode on until its end, and returns the whole record."""
    record = [*record]
    for move in drawn:
        *_, terminated, truncated, info = record[-1]
        if terminated or truncated:
            break
        listed = info["available_actions"]
        action = move if isinstance(move, str) else listed[move % len(listed)] if listed else "search[x]"
        record.append((action, *env.step(action)))
    return record
