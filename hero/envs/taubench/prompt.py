"""The system message of an agent: the policy of the domain, the tools, and how to call one."""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.schemas import signature
from hero.envs.taubench.world import World

HOW: Final = """\
Each of your messages is either one tool call and nothing else, written as
<tool_call>{"name": "...", "arguments": {...}}</tool_call>
or words to the customer."""


def instructions(world: World) -> str:
    """The system message. The embedded world has its tools in a line each; with data come the whole schemas."""
    if world.version == "embedded":
        tools = "\n".join(signature(schema) for schema in world.schemas)
    else:
        tools = "\n".join(json.dumps(schema["function"]) for schema in world.schemas)
    return f"{world.policy.strip()}\n\n{HOW}\n\nTools:\n{tools}"
