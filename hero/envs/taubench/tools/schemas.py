"""Our own descriptions of the tools, for data that bring none: read off the signatures and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from hero.envs.taubench.tools import airline, retail

TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
    "list[Record]": {"type": "array", "items": {"type": "object"}},
}


def schemas(domain: str) -> list[Mapping[str, Any]]:
    """The tools of a domain, sorted by name, as the function calling of chat endpoints has them."""
    tools = {"retail": retail.TOOLS, "airline": airline.TOOLS}[domain]
    return [_schema(tools[name]) for name in sorted(tools)]


def signature(schema: Mapping[str, Any]) -> str:
    """A schema in one line: `name(argument, argument)`."""
    function = schema["function"]
    return f"{function['name']}({', '.join(function['parameters']['properties'])})"


def _schema(tool: Any) -> Mapping[str, Any]:
    arguments = list(inspect.signature(tool).parameters.values())[1:]
    return {
        "type": "function",
        "function": {
            "name": tool.__name__,
            "description": inspect.getdoc(tool),
            "parameters": {
                "type": "object",
                "properties": {argument.name: dict(TYPES[argument.annotation]) for argument in arguments},
                "required": [argument.name for argument in arguments],
            },
        },
    }
