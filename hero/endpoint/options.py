"""Arguments of a model behind an endpoint: their ranges, and environment variables for those that are left out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final

from hero.endpoint.address import read_address, without_userinfo
from hero.errors import ConfigError

OPENAI: Final = "https://api.openai.com/v1"
RANGES: Final[Mapping[str, tuple[type | UnionType, float, float]]] = {
    "attempts": (int, 1, 1000),
    "wait": (int | float, 0.001, 86_400),
    "timeout": (int | float, 0.001, 86_400),
}
"""Type, smallest and largest value of arguments that are numbers."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a model behind an endpoint is for, in messages and in the names of environment variables.

    Attributes:
        name: as users write it, such as `user=model`.
        arguments: where users give arguments, such as `user_args`.
        prefix: beginning of the variables PREFIX_MODEL, PREFIX_RECORDING and PREFIX_OFFLINE.
    """

    name: str
    arguments: str
    prefix: str


def require_in_range(**numbers: Any) -> None:
    """Refuses arguments outside of `RANGES`.

    Raises:
        ConfigError: an argument has another type, or is out of its range.
    """
    for name, value in numbers.items():
        kind, least, most = RANGES[name]
        right_type = isinstance(value, kind)
        if not (right_type and least <= value <= most):
            noun = "an integer" if kind is int else "a number"
            raise ConfigError(f"{name}={value!r} must be {noun} from {least:g} to {most:g}")


def read_prices(prices: Sequence[float]) -> tuple[float, float]:
    """Returns the prices of prompt and completion.

    Raises:
        ConfigError: they are not two numbers.
    """
    try:
        prompt, completion = map(float, prices)
    except (TypeError, ValueError):
        raise ConfigError(f"prices={prices!r:.60} must be two numbers: dollars per million tokens in and out") from None
    return prompt, completion


def with_environment(arguments: Mapping[str, Any], allowed: Set[str], owner: Owner) -> dict[str, Any]:
    """Returns arguments of a `ChatModel`, completed from environment variables.

    The variables are OPENAI_BASE_URL, those of the owner (the file of a recording, and OFFLINE=1), and OPENAI_API_KEY,
    which alone holds the key. Only OPENAI_BASE_URL may hold the name and the password of an address: arguments are
    stored and shown.

    Args:
        allowed: names that the arguments may have. The key is not among them: arguments are stored and shown.

    Raises:
        ConfigError: an argument is not allowed, no model is named, or the URL holds a name or a password.
    """
    if unknown := sorted(arguments.keys() - allowed):
        hint = "; the key is taken from OPENAI_API_KEY" if "key" in unknown else ""
        raise ConfigError(f"{owner.arguments} has no {unknown[0]!r}{hint}; it takes: {', '.join(sorted(allowed))}")
    default_url = os.environ.get("OPENAI_BASE_URL") or OPENAI
    options: dict[str, Any] = {
        "model": os.environ.get(f"{owner.prefix}_MODEL"),
        "url": without_userinfo(read_address(default_url)),
        "recording": os.environ.get(f"{owner.prefix}_RECORDING") or None,
        "offline": os.environ.get(f"{owner.prefix}_OFFLINE") == "1",
    } | dict(arguments)
    if not options["model"]:
        raise ConfigError(
            f"{owner.name} needs {owner.prefix}_MODEL, or a model in {owner.arguments}, and OPENAI_BASE_URL or its url "
            "for any endpoint but OpenAI's"
        )
    if isinstance(options["url"], str) and options["url"]:
        address = read_address(options["url"])
        if address.userinfo:
            raise ConfigError(
                f"the url of {owner.arguments} holds a name or password: give those in OPENAI_BASE_URL alone"
            )
        if without_userinfo(address) == without_userinfo(read_address(default_url)):
            options["url"] = default_url
    return options | {"key": os.environ.get("OPENAI_API_KEY", "")}
