"""Take a reflector: have the episodes of another agent judged turn by turn, with hindsight.

`hero.reflect`, `hero.traces` and `hero.types` need the standard library alone. The log is in OpenAI's message format,
with tool calls and their results, as most agent frameworks write it. Its reward is not known, so that nobody judges how
it ended; with `reward=0.0` the last turn would be called failed.
"""

from __future__ import annotations

import json
from typing import Any

from hero.policy import FunctionPolicy
from hero.reflect.combined import FirstOf
from hero.reflect.model import ModelReflector
from hero.reflect.rules import RulesReflector
from hero.traces import trajectory_from_messages
from hero.types import Diagnosis


def call(name: str, **arguments: str) -> dict[str, Any]:
    """Returns a message of an assistant that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": name, "type": "function", "function": function}],
    }


def result(name: str, content: str) -> dict[str, Any]:
    """Returns what the tool answered."""
    return {"role": "tool", "tool_call_id": name, "content": content}


LOG = [
    {"role": "user", "content": "Which port does the server use?"},
    call("list", path="/app"),
    result("list", "README.md src"),
    call("read", path="/app/config.toml"),
    result("read", "FileNotFoundError: /app/config.toml"),
    call("list", path="/app"),
    result("list", "README.md src"),
    {"role": "assistant", "content": "It uses port 8080."},
]


def ask_a_model(messages: Any) -> str:
    """Stands for a model of yours, which is shown the episode and asked for a line per turn."""
    return "1 useful\n4 failed: no file was read; instead: read /app/src/server.py"


def main() -> Diagnosis:
    """Prints each action with what is said of it; returns the diagnosis.

    The rules speak first, and the model about the turns that they leave open.
    """
    trajectory = trajectory_from_messages(LOG)
    reflector = FirstOf(of=[RulesReflector(), ModelReflector(FunctionPolicy(ask_a_model))])
    (diagnosis,) = reflector.reflect([trajectory])
    for index, turn in enumerate(trajectory.turns):
        print(turn.action.text)
        print(f"    {diagnosis.about(index) or '(nothing to say)'}")
    return diagnosis


if __name__ == "__main__":
    main()
