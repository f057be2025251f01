"""Check by probes whether a chat template can be given tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

NAME: Final = "probe_of_tools"
PROBE: Final[Mapping[str, Any]] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "?",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string"},
                "item_ids": {"type": "array", "items": {"type": "string"}},
                "reason": {"type": "string", "enum": ["late", "lost"]},
            },
            "required": ["order_id"],
        },
    },
}
QUESTION: Final[Mapping[str, Any]] = {"role": "user", "content": "?"}
ANSWER: Final[Mapping[str, Any]] = {"role": "assistant", "content": "!"}
CALL: Final[Mapping[str, Any]] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"type": "function", "id": "call00000", "function": {"name": NAME, "arguments": {"order_id": "#W1"}}}
    ],
}


class Render(Protocol):
    """Renders a conversation with a chat template."""

    def __call__(
        self, conversation: Sequence[Mapping[str, Any]], schemas: Sequence[Mapping[str, Any]], *, reply: bool
    ) -> str: ...


def supports_tools(render: Render, system: str) -> bool:
    """Returns whether a template writes tools, keeps them in place, and writes calls in a form that environments read.

    The form is a JSON object with `name` and `arguments` (or `parameters`), alone or in `<tool_call>` tags;
    environments would not understand a model that is asked for any other.

    Args:
        system: system text that the template must keep beside the tools.
    """
    opening = [{"role": "system", "content": system}, QUESTION]
    try:
        now = render(opening, [PROBE], reply=True)
        later = render([*opening, ANSWER, QUESTION], [PROBE], reply=True)
        before, called = (render(talk, [PROBE], reply=False) for talk in (opening, [*opening, CALL]))
    except Exception:  # a template without tools, or without tools like these, may raise anything
        return False
    before_names = now.split(NAME)[:-1]
    in_place = before_names and before_names == later.split(NAME)[:-1]
    if not in_place or system not in now or not called.startswith(before):
        return False
    written = called.removeprefix(before).removeprefix(now.removeprefix(before))
    try:
        call, _ = json.JSONDecoder().raw_decode((written.partition("<tool_call>")[2] or written).lstrip())
    except ValueError:
        return False
    return isinstance(call, dict) and call.get("name") == NAME and bool(call.get("arguments", call.get("parameters")))
