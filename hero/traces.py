"""Trajectories from traces of other agents in OpenAI's message format, and back. Standard library only.

A message of the assistant is one action. Its tool calls follow its words, each in a line of the form that open models
write, with the arguments as they were sent:

    <tool_call>{"name": "get_order", "arguments": {"id": "#W1"}}</tool_call>

The messages up to the next one of the assistant are the observation. If they are more than one, each has its role
around it, `<tool>...</tool>`. What is not for reading, ids of calls and roles, is in `Turn.info`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, cast

from hero.errors import DataError
from hero.types import JSON, Action, Message, Role, Stop, Trajectory, Turn

SPOKEN: Final = ("system", "user", "assistant")
_CALL: Final = re.compile(r'\n?<tool_call>\{"name": ("(?:[^"\\]|\\.)*"), "arguments": (.*?)\}</tool_call>', re.DOTALL)
_PART: Final = re.compile(r"<(tool|user|system)>\n(.*?)\n</\1>", re.DOTALL)


def trajectory_from_messages(
    messages: Sequence[Mapping[str, Any]],
    *,
    reward: float | None = None,
    success: bool | None = None,
    env_id: str = "trace",
    task_id: str = "",
) -> Trajectory:
    """Returns the episode that a trace tells.

    Args:
        messages: the whole conversation; content is a str, None, or a list of parts of type text, which are joined.
        reward: of the episode; None where it is not known, so that nobody judges how it ended (`Stop.UNKNOWN`).
        success: whether the task was solved; None where it is not known.
        env_id: name of the environment; traces that share it and `task_id` are siblings.
        task_id: name of the task.

    Raises:
        DataError: a message has another form, or a text that would be read as the marks around calls and results.
    """
    plain: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        plain.append(_read(index, message, any(each["role"] == "assistant" for each in plain)))
    said = [Message(cast("Role", _role(message)), _text(index, message)) for index, message in enumerate(plain)]
    acts = [index for index, message in enumerate(plain) if message["role"] == "assistant"]
    turns: list[Turn] = []
    prompt: list[Message] = list(said[: acts[0]]) if acts else []
    for index in acts:
        answers = [*takewhile(lambda message: message["role"] != "assistant", plain[index + 1 :])]
        observation = _observation(index + 1, answers)
        last = index == acts[-1]
        info: dict[str, JSON] = {"tool_call": bool(plain[index].get("tool_calls")), **_hidden(plain[index], answers)}
        if last and success is not None:
            info["success"] = success
        earned = reward if last and reward is not None else 0.0
        turns.append(Turn(tuple(prompt), Action(said[index].content), observation, earned, info=info))
        prompt += [Message("assistant", said[index].content), *([Message("user", observation)] if answers else [])]
    stop = Stop.UNKNOWN if reward is None else Stop.TERMINATED
    return Trajectory(env_id, task_id, 0, tuple(turns), stop)


def messages_from_trajectory(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Returns an episode as a trace: the inverse of `trajectory_from_messages`.

    Joined parts stay joined, an empty list of calls is left out, and of the keys of a message only role, content, calls
    and their ids are kept. A trace in which the assistant says nothing has no turns, and comes back empty. Rewards,
    feedback and diagnoses have no place in the format. Of an episode that was played here, actions are words, whatever
    they call. It has to show each prompt as the conversation so far, as `hero.chat.context.conversation` does.

    Raises:
        DataError: a prompt is not what was said before.
    """
    if not trajectory.turns:
        return []
    opening = trajectory.turns[0].prompt
    written: list[dict[str, Any]] = [{"role": message.role, "content": message.content} for message in opening]
    prompt = list(opening)
    for index, turn in enumerate(trajectory.turns):
        if [(each.role, each.content) for each in turn.prompt] != [(each.role, each.content) for each in prompt]:
            raise DataError(
                f"the prompt of turn {index} is not the conversation so far, as it is with a window of turns; only "
                "whole conversations can be written as a trace"
            )
        written += [_assistant(turn), *_answers(turn)]
        prompt.append(turn.action.message())
        if _roles(turn):
            prompt.append(Message("user", turn.observation))
    return written


def _read(index: int, message: Mapping[str, Any], after_assistant: bool) -> dict[str, Any]:
    """Returns a message whose content is a str, "" for None; only what the format allows is in it.

    Args:
        after_assistant: whether a message of the assistant comes before it.

    Raises:
        DataError: it has another form.
    """
    where = f"message {index}"
    if not isinstance(message, Mapping) or not isinstance(role := message.get("role"), str):
        raise DataError(f"{where} is {message!r:.80}; a message is an object with a role")
    if role not in {*SPOKEN, "tool"}:
        remedy = "; write it as system" if role == "developer" else ""
        raise DataError(f"{where} has the role {role!r}; those of a trace are system, user, assistant and tool{remedy}")
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content):
            raise DataError(f"{where} has parts that are no text, such as images, which no trajectory can hold")
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str | None):
        raise DataError(f"the content of {where} is {content!r:.80}; it must be a str, a list of parts or None")
    if content is None and role != "assistant":
        raise DataError(f"{where} has no content, which only a message of the assistant may lack")
    if role == "tool" and not after_assistant:
        raise DataError(f"{where} answers a call, but no message of the assistant comes before it")
    for key, remedy in (
        ("function_call", "the older form; write it as tool_calls"),
        ("refusal", "write it as content"),
    ):
        if message.get(key):
            raise DataError(f"{where} has a {key}, {remedy}")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise DataError(f"the tool_calls of {where} are {calls!r:.80}, not a list")
    for call in calls:
        is_function = isinstance(call, Mapping) and call.get("type", "function") == "function"
        function = call.get("function") if is_function else None
        if not isinstance(function, Mapping) or not all(
            isinstance(function.get(name), str) for name in ("name", "arguments")
        ):
            raise DataError(f"{where} calls {call!r:.80}; a call has a function with name and arguments, both str")
    if calls and role != "assistant":
        raise DataError(f"{where} has the role {role!r} and calls tools, which only the assistant can")
    return {**message, "content": content or "", "was_none": content is None}


def _role(message: Mapping[str, Any]) -> str:
    return "user" if message["role"] == "tool" else str(message["role"])


def _text(index: int, message: Mapping[str, Any]) -> str:
    """Returns a message as it is read: words, and the calls behind them."""
    words: str = message["content"]
    functions = [call["function"] for call in message.get("tool_calls") or []]
    calls = [(function["name"], function["arguments"]) for function in functions]
    lines = [f'<tool_call>{{"name": {json.dumps(name)}, "arguments": {given}}}</tool_call>' for name, given in calls]
    text = "\n".join([*([words] if words or not lines else []), *lines])
    if calls and _calls_of(text) != (words, calls):
        raise DataError(f"message {index} has the marks of a tool call in its text, so that it could not be read back")
    return text


def _calls_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Returns the words of an action, and the name and arguments of each call behind them."""
    calls = [*_CALL.finditer(text)]
    words = text[: calls[0].start()] if calls else text
    return words, [(json.loads(call[1]), call[2]) for call in calls]


def _observation(first: int, answers: Sequence[Mapping[str, Any]]) -> str:
    if len(answers) < 2:
        return answers[0]["content"] if answers else ""
    parts = [(str(message["role"]), str(message["content"])) for message in answers]
    text = "\n".join(f"<{role}>\n{content}\n</{role}>" for role, content in parts)
    if _PART.findall(text) != parts:
        raise DataError(f"messages {first} to {first + len(parts) - 1} have the marks of a result in their text")
    return text


def _hidden(message: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> dict[str, JSON]:
    """Returns what of a turn's messages is not for reading, but needed to write them again."""
    calls = message.get("tool_calls") or []
    hidden: dict[str, JSON] = {"roles": [str(answer["role"]) for answer in answers]}
    if calls:
        hidden["call_ids"] = [call.get("id") for call in calls]
    if message["was_none"]:
        hidden["silent"] = True
    if any("tool_call_id" in answer for answer in answers):
        hidden["answered_ids"] = [answer.get("tool_call_id") for answer in answers]
    return hidden


def _roles(turn: Turn) -> list[str]:
    """Returns the roles of the messages behind an observation; of an episode that was played here it is the user's."""
    return [str(role) for role in cast("list[JSON]", turn.info.get("roles", ["user"]))]


def _assistant(turn: Turn) -> dict[str, Any]:
    ids = cast("list[JSON]", turn.info.get("call_ids", []))
    words, calls = _calls_of(turn.action.text) if ids else (turn.action.text, [])
    message: dict[str, Any] = {"role": "assistant", "content": None if turn.info.get("silent") else words}
    if calls:
        message["tool_calls"] = [
            ({} if call_id is None else {"id": call_id})
            | {"type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, (name, arguments) in zip(ids, calls, strict=True)
        ]
    return message


def _answers(turn: Turn) -> Iterator[dict[str, Any]]:
    roles = _roles(turn)
    ids = cast("list[JSON]", turn.info.get("answered_ids", [None] * len(roles)))
    contents = [turn.observation] if len(roles) == 1 else [content for _, content in _PART.findall(turn.observation)]
    for role, call_id, content in zip(roles, ids, contents, strict=True):
        yield {"role": role, "content": content} | ({"tool_call_id": call_id} if call_id is not None else {})
