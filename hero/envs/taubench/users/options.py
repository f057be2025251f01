"""Arguments of the model user: their ranges, and environment variables in place of those that are left out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from types import UnionType
from typing import Any, Final

from hero.envs.taubench.users.address import read_address, without_userinfo
from hero.errors import ConfigError

OPENAI: Final = "https://api.openai.com/v1"
RANGES: Final[Mapping[str, tuple[type | UnionType, float, float]]] = {
    "attempts": (int, 1, 1000),
    "wait": (int | float, 0.001, 86_400),
    "timeout": (int | float, 0.001, 86_400),
}
"""Type, smallest and largest value of arguments that are numbers."""


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


def with_environment(arguments: Mapping[str, Any], allowed: Set[str]) -> dict[str, Any]:
    """Returns arguments of a model user, completed from environment variables.

    Args:
        allowed: names that the arguments may have. The key is not among them: arguments are stored and shown.

    Raises:
        ConfigError: an argument is not allowed, no model is named, or the URL holds a name or a password.
    """
    if unknown := sorted(arguments.keys() - allowed):
        hint = "; the key is taken from OPENAI_API_KEY" if "key" in unknown else ""
        raise ConfigError(f"user_args has no {unknown[0]!r}{hint}; it takes: {', '.join(sorted(allowed))}")
    default_url = os.environ.get("OPENAI_BASE_URL") or OPENAI
    options: dict[str, Any] = {
        "model": os.environ.get("HERO_USER_MODEL"),
        "url": without_userinfo(read_address(default_url)),
        "recording": os.environ.get("HERO_USER_RECORDING") or None,
        "offline": os.environ.get("HERO_USER_OFFLINE") == "1",
    } | dict(arguments)
    if not options["model"]:
        raise ConfigError(
            'user=model needs HERO_USER_MODEL, or user_args={"model": ...}, and OPENAI_BASE_URL or its url for any '
            "endpoint but OpenAI's"
        )
    if isinstance(options["url"], str) and options["url"]:
        address = read_address(options["url"])
        if address.userinfo:
            raise ConfigError("the url of user_args holds a name or password: give those in OPENAI_BASE_URL alone")
        if without_userinfo(address) == without_userinfo(read_address(default_url)):
            options["url"] = default_url
    return options | {"key": os.environ.get("OPENAI_API_KEY", "")}
