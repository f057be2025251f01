"""Values from foreign environments are validated, and none is too odd to be named."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from hero.envs.validate import brief, read_baseline, read_step


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


DEEP: Any = reduce(lambda inner, _: [inner], range(100_000), [])
ODD = [(DEEP, "list"), (10**5000, "int"), (Odd(), "Odd")]


@pytest.mark.parametrize(("value", "kind"), ODD, ids=[kind for _, kind in ODD])
def test_a_value_that_cannot_be_written_is_named_by_its_type(value: Any, kind: str) -> None:
    assert brief(value) == f"a {kind} that cannot be shown"
    with pytest.raises(ValueError, match=f"finite number, not a {kind} that cannot be shown"):
        read_step(("page", value, False, False, {}))
    with pytest.raises(ValueError, match=f"finite number or None, not a {kind} that cannot be shown"):
        read_baseline(value)


def test_a_value_is_shown_in_brief() -> None:
    assert brief("a" * 99) == f"'{'a' * 59}..."
    assert brief([1]) == "[1]"


@pytest.mark.parametrize("key", ["success", "action_valid", "tool_call"])
@pytest.mark.parametrize("value", ["no", [False], 1, None])
def test_truth_in_the_info_of_a_step_is_a_bool(key: str, value: object) -> None:
    with pytest.raises(TypeError, match=f"{key} in the info of step must be a bool"):
        read_step(("page", 0.0, False, False, {key: value}))
    assert read_step(("page", 0.0, False, False, {key: True}))[4] == {key: True}
