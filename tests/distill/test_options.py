"""Ranges describe the numbers that they contain, and all others are refused by name, value and remedy."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pytest

from hero.distill.options import Range, require_declared
from hero.errors import ConfigError


def declared(
    free: int,
    open_: Annotated[float, Range(above=0, below=1)],
    half: Annotated[int, Range(least=2)],
    kind: Literal["a"],
) -> None: ...


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        (Range(above=0), [1e-300, math.inf], [0, -1, math.nan], "more than 0"),
        (Range(least=0, below=math.inf), [0, 1e300], [-1e-300, math.inf, math.nan], "at least 0 and less than inf"),
        (Range(above=0, below=1e16), [0.5], [0, 1e16, math.nan], "more than 0 and less than 1e+16"),
    ],
)
def test_a_range_contains_what_its_text_states(
    limits: Range, inside: list[float], outside: list[float], words: str
) -> None:
    assert all(value in limits for value in inside)
    assert not any(value in limits for value in outside)
    assert str(limits) == words


def test_only_what_is_declared_is_checked() -> None:
    possible = {"free": -1, "open_": 0.5, "half": 2, "kind": "a"}
    require_declared(declared, possible | {"self": None})
    for name, value, remedy in (
        ("open_", 1, "more than 0 and less than 1"),
        ("half", 1, "at least 2"),
        ("kind", "b", "one of a"),
    ):
        with pytest.raises(ConfigError, match=f"^{name} = {value} is not possible; give {remedy}$"):
            require_declared(declared, possible | {name: value})
