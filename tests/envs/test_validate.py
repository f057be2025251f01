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
