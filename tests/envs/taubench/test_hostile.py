"""Actions of 100 kB, made to hold up whoever reads them: a turn and its review stay quick."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.reflect.rules import RulesReflector
from hero.types import Action, Message, Stop, Trajectory, Turn
from tests.hostile import limited

LENGTH = 100_000
PIECES = (
    " ",
    "\n",
    "\t",
    "\u3000",
    "x",
    "é",
    "İ",
    "\ud800",
    "\\",
    '"',
    "`",
    "*",
    "- ",
    "> ",
    "1",
    "1.",
    "[",
    "[],",
    "(",
    "{",
    "{}",
    '{"a":',
    '{"name":',
    '{"name": "arguments" ',
    '{"name": "x", "arguments": {}}',
    "```",
    "``` ",
    "```json\n",
    "```\n{\n",
    "```{```",
    '```\n{"name": "arguments"}\n```',
    "<tool_call>",
    "</tool_call>",
    "<tool_call>{",
    "<tool_call>```",
    "<think>",
    "</think>",
    "<answer>",
    "<action>{",
    "<|python_tag|>",
    "<|channel|>final<|message|>",
    "Action:",
    "\nAction: ",
    "action 1 ",
    "\nThought: ",
    "x\nAction Input:",
    "yes ",
    "don't ",
    "confirm? ",
    "please e-mail ",
    "order id ",
    "a@b.",
    "a_1 ",
)


def called(name: str, **arguments: Any) -> str:
    return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)


def calls() -> Iterator[str]:
    """Calls of tools whose work grows with their arguments."""
    ids = [str(index) for index in range(12_000)]
    order = {"order_id": "#W56941", "payment_method_id": "x"}
    yield called("find_user_id_by_name_zip", first_name="İ" * 50_000, last_name="é" * 50_000, zip="")
    yield called("find_user_id_by_email", email="İ" * LENGTH)
    for items in (ids, ["1"] * 16_000):
        yield called("return_delivered_order_items", item_ids=items, **order)
        yield called("modify_pending_order_items", item_ids=items, new_item_ids=items, **order)
        yield called("exchange_delivered_order_items", item_ids=items, new_item_ids=items, **order)
    yield called("calculate", expression="+".join(["(" + "+".join(["9**9999"] * 100) + ")"] * 120))
    yield called("get_order_details", **{f"a{index}": 1 for index in range(9000)})
    yield '{"name": "think", "arguments": {"thought": 0.' + "1" * LENGTH + "}}"
    yield '{"name": "think", "arguments": {"thought": [' + "1e308," * 16_000 + "1]}}"
    yield json.dumps({"name": "get_user_details", "arguments": json.dumps({"user_id": '"\\' * 20_000})})
    yield f"Action: {called('get_user_details', user_id='x' * LENGTH)}"


@pytest.mark.parametrize(
    "action", [*((piece * LENGTH)[:LENGTH] for piece in PIECES), *calls()], ids=lambda text: text[:20]
)
def test_no_action_holds_up_a_turn_or_its_review(action: str) -> None:
    env = TauBenchEnv(data="embedded")
    env.reset(options={"task": 3})
    with limited(action):
        env.step(action)
    turns = tuple(
        Turn((Message("user", "Hi."),), Action(f"{action}{index}"), f"{action}{'?' * index}", 0.0, info=info)
        for index, info in enumerate([{"action_valid": True}] * 4 + [{"action_valid": False}])
    )
    trajectory = Trajectory(env.env_id, "t", 0, turns, Stop.MAX_TURNS)
    with limited(action):
        RulesReflector().reflect([trajectory])
