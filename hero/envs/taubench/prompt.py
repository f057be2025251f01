"""The system message of an agent: the policy of the domain, how to call a tool, and the tools."""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.tools.schemas import signature
from hero.envs.taubench.world import World
from hero.types import Tools

FORMAT: Final = """\
Each of your messages is either one tool call and nothing else, written as
<tool_call>{"name": "...", "arguments": {...}}</tool_call>
or words to the customer."""


def instructions(world: World, tools: Tools) -> str:
    """Returns the system message, with a line for each tool of the embedded world, and whole schemas with data."""
    if world.version == "embedded":
        lines = [signature(schema) for schema in world.schemas]
    else:
        lines = [json.dumps(schema["function"]) for schema in world.schemas]
    return "\n".join((tools.content, "", "Tools:", *lines))


def tools_of(world: World) -> Tools:
    """Returns the tools, with the system message that leaves them out."""
    return Tools(tuple(world.schemas), f"{world.policy.strip()}\n\n{FORMAT}")
