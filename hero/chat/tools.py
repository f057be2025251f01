"""Whether a chat template can be given tools."""

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
    """What a template makes of a conversation."""

    def __call__(
        self, conversation: Sequence[Mapping[str, Any]], schemas: Sequence[Mapping[str, Any]], *, reply: bool
    ) -> str: ...


def writes_tools(render: Render, system: str) -> bool:
    """Whether a template writes tools, keeps them where they are, and has them called as environments read calls.

    That is as a JSON object with `name` and `arguments` (or `parameters`), alone or in `<tool_call>` tags: a model
    that is told to write anything else is not understood.

    Args:
        system: a text that has to stay beside the tools.
    """
    opening = [{"role": "system", "content": system}, QUESTION]
    try:
        now = render(opening, [PROBE], reply=True)
        later = render([*opening, ANSWER, QUESTION], [PROBE], reply=True)
        before, called = (render(talk, [PROBE], reply=False) for talk in (opening, [*opening, CALL]))
    except Exception:  # whatever a template raises that knows no tools, or not such tools
        return False
    places = now.split(NAME)[:-1]
    if not places or places != later.split(NAME)[:-1] or system not in now or not called.startswith(before):
        return False
    said = called.removeprefix(before).removeprefix(now.removeprefix(before))
    try:
        call, _ = json.JSONDecoder().raw_decode((said.partition("<tool_call>")[2] or said).lstrip())
    except ValueError:
        return False
    return isinstance(call, dict) and call.get("name") == NAME and bool(call.get("arguments", call.get("parameters")))
