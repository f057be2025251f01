"""The body of a chat request without its messages, and advice for parameters that an endpoint refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hero.errors import ConfigError

ARGUMENTS: Final = frozenset(("temperature", "seed", "max_tokens"))
"""Parameters of a request that are arguments of a `ChatModel`."""
RESERVED: Final = frozenset(("model", "messages", "stream", "n"))
"""Parameters of a request that `parameters` must not set."""


def build_request(model: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns a request without its messages.

    Args:
        arguments: values of `ARGUMENTS`; those that are None are left out.
        parameters: more parameters, which take precedence over `arguments`.

    Raises:
        ConfigError: a parameter is not JSON, or reserved.
    """
    parameters = {} if parameters is None else parameters
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"parameters={parameters!r:.60} must be a mapping of names to values")
    if reserved := sorted(RESERVED & parameters.keys()):
        raise ConfigError(f"parameters must not have {reserved[0]!r}, which are set otherwise")
    request = {"model": model} | {name: value for name, value in arguments.items() if value is not None}
    try:
        text = json.dumps(request | dict(parameters), allow_nan=False, ensure_ascii=False)
        return dict(json.loads(text.encode()))  # half a surrogate pair has no encoding
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the request to the model must be plain JSON: {error}") from None


def advice(request: Mapping[str, Any], refusal: str, arguments: str) -> str:
    """Returns remedies for the parameters that the text of a refusal names; "" where it names none.

    Args:
        arguments: where users give arguments.
    """
    named = [name for name in request if name not in RESERVED and re.search(rf"\b{re.escape(name)}\b", refusal)]
    ways = [f"leave {name} out with {name}=null in {arguments}" for name in named if name in ARGUMENTS]
    ways += [f"take {name} out of the parameters in {arguments}" for name in named if name not in ARGUMENTS]
    if "max_completion_tokens" in refusal and "max_tokens" in named:
        ways.append(f'give "parameters": {{"max_completion_tokens": {request["max_tokens"]}}} instead')
    return "".join(f"; {way}" for way in ways)


def message(role: str, text: str) -> dict[str, str]:
    """Returns a message that can be sent: half a surrogate pair, which JSON can write, has no encoding."""
    return {"role": role, "content": text.encode(errors="replace").decode()}
