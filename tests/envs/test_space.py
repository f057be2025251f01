"""Texts of every kind pass through the shared memory of gymnasium's asynchronous vector environments."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from gymnasium.vector import AsyncVectorEnv
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.base import StepResult, TextEnv
from hero.envs.space import MAX_BYTES, AnyText

any_text = st.text(st.characters())  # halves of surrogate pairs as well
MEMORY = create_shared_memory(AnyText(), n=3)


@given(st.lists(st.tuples(any_text, any_text, any_text), min_size=1, max_size=3))
def test_the_newest_texts_are_read_and_copies_stay(steps: list[tuple[str, ...]]) -> None:
    texts = read_from_shared_memory(AnyText(), MEMORY, n=3)
    copies = []
    for step in steps:
        for index, text in enumerate(step):
            write_to_shared_memory(AnyText(), index, text, MEMORY)
        assert tuple(texts) == step
        assert texts[1:] == step[1:]
        copies.append(deepcopy(texts))
    assert copies == steps


def test_a_text_of_the_largest_size_fits_and_a_larger_one_says_what_to_do() -> None:
    texts = read_from_shared_memory(AnyText(), MEMORY, n=3)
    write_to_shared_memory(AnyText(), 1, "x" * MAX_BYTES, MEMORY)
    write_to_shared_memory(AnyText(), 2, "last", MEMORY)
    assert (len(texts[1]), texts[2]) == (MAX_BYTES, "last")
    with pytest.raises(ValueError, match="build the vector environment with shared_memory=False"):
        write_to_shared_memory(AnyText(), 0, "é" * (MAX_BYTES // 2 + 1), MEMORY)


class Echo(TextEnv):
    """Says every action again."""

    env_id = "echo"
    num_tasks = 2

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        return f"task {task}", {}

    def apply(self, action: str) -> StepResult:
        return StepResult(action)


@pytest.mark.parametrize("copy", [True, False])
def test_a_vector_environment_in_processes_shows_the_newest_observations(copy: bool) -> None:
    vector = AsyncVectorEnv([Echo] * 2, copy=copy)
    try:
        first, _ = vector.reset(options={"task": 1})
        assert tuple(first) == ("task 1", "task 1")
        second, *_ = vector.step(["ä", "b"])
        assert tuple(second) == ("ä", "b")
        assert tuple(first) == (("task 1", "task 1") if copy else ("ä", "b"))
    finally:
        vector.close()
