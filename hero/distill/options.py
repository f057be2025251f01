"""Ranges of a function's arguments, declared in its annotations and checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from hero.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A range of numbers, declared as `Annotated[float, Range(above=0)]`; NaN is within none."""

    above: float | None = None
    least: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.above is None or number > self.above)
            and (self.least is None or number >= self.least)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        bounds = {"more than": self.above, "at least": self.least, "less than": self.below}
        return " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)


def require_declared(function: Callable[..., object], arguments: Mapping[str, Any]) -> None:
    """Checks arguments against the `Range` or the `Literal` values in the annotations of a function.

    Raises:
        ConfigError: an argument is not within its range, or not one of its values.
    """
    for name, hint in get_type_hints(function, include_extras=True).items():
        if get_origin(hint) is Literal:
            require(arguments[name] in get_args(hint), name, arguments[name], f"one of {', '.join(get_args(hint))}")
        elif get_origin(hint) is Annotated:
            _, limits = get_args(hint)
            require(arguments[name] in limits, name, arguments[name], str(limits))


def require(holds: bool, name: str, value: object, remedy: str) -> None:
    """Raises a `ConfigError` about an argument unless a condition holds."""
    if not holds:
        raise ConfigError(f"{name} = {value} is not possible; give {remedy}")
