"""Schemas of the tools, made of their signatures and docstrings, for data that bring none."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from hero.envs.taubench.tools.domains import TOOLS
from hero.envs.taubench.tools.toolbox import Tool

TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
    "list[Record]": {"type": "array", "items": {"type": "object"}},
}


def schemas(domain: str) -> list[Mapping[str, Any]]:
    """Returns the tools of a domain, sorted by name, in the form of the function calling of chat endpoints."""
    return [_schema(name, tool) for name, tool in sorted(TOOLS[domain].items())]


def signature(schema: Mapping[str, Any]) -> str:
    """Returns a schema in one line: `name(argument, argument)`."""
    function = schema["function"]
    return f"{function['name']}({', '.join(function['parameters']['properties'])})"


def _schema(name: str, tool: Tool) -> Mapping[str, Any]:
    arguments = list(inspect.signature(tool.run).parameters.values())[1:]
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": inspect.getdoc(tool.run),
            "parameters": {
                "type": "object",
                "properties": {argument.name: dict(TYPES[argument.annotation]) for argument in arguments},
                "required": [argument.name for argument in arguments],
            },
        },
    }
