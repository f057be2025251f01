"""Traces of other agents become trajectories and come back, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.distill.teacher import HindsightTeacher
from hero.errors import DataError
from hero.policy import FunctionPolicy
from hero.reflect.model import review_prompt
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.traces import messages_from_trajectory, trajectory_from_messages
from hero.types import Diagnosis, Message, Stop, Verdict
from tests.doubles import GuessEnv

words = st.text(max_size=12).filter(lambda text: "tool" not in text)
call_ids = st.from_regex(r"call_[0-9a-f]{4}", fullmatch=True)
arguments = st.dictionaries(words, st.integers() | words, max_size=2).map(json.dumps) | st.just('{"a": ') | st.just("")


@st.composite
def traces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draws conversations: parallel calls, empty contents, several messages in a row, and no answer at the end."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": draw(words)}] * draw(st.integers(0, 1))
    messages += [{"role": "user", "content": draw(words)} for _ in range(draw(st.integers(0, 2)))]
    for _ in range(draw(st.integers(0, 4))):
        ids = draw(st.lists(call_ids, max_size=3))
        calls = [
            {"id": each, "type": "function", "function": {"name": draw(words), "arguments": draw(arguments)}}
            for each in ids
        ]
        silent = draw(st.booleans())
        message = {"role": "assistant", "content": None if silent else draw(words)}
        messages.append(message | ({"tool_calls": calls} if calls else {}))
        messages += [{"role": "tool", "tool_call_id": each, "content": draw(words)} for each in ids]
        messages += [{"role": "user", "content": draw(words)} for _ in range(draw(st.integers(0, 2)))]
    return messages


@given(traces(), st.none() | st.floats(-1, 1), st.none() | st.booleans())
def test_a_trace_comes_back_as_it_was(
    messages: list[dict[str, Any]], reward: float | None, success: bool | None
) -> None:
    trajectory = trajectory_from_messages(messages, reward=reward, success=success)
    spoken = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    assert len(trajectory.turns) == len(spoken)
    assert trajectory.stop is (Stop.UNKNOWN if reward is None else Stop.TERMINATED)
    assert trajectory.reward == (reward if spoken and reward else 0.0)
    assert trajectory.success == (bool(spoken) and success is True)
    if spoken:
        assert messages_from_trajectory(trajectory) == messages
        for turn in trajectory.turns:
            assert json.loads(json.dumps(dict(turn.info))) == dict(turn.info)


@given(st.lists(st.sampled_from(["red", "green", "mauve"]), min_size=1, max_size=3), st.integers(0, 11))
def test_an_episode_that_was_played_here_survives_the_way_there_and_back(said: list[str], task: int) -> None:
    answers = iter([*said, *said, *said])
    (played,) = rollout([GuessEnv()], FunctionPolicy(lambda _: next(answers)), [Task(task, 0)], max_turns=3)
    messages = messages_from_trajectory(played)
    assert [message["role"] for message in messages[:2]] == ["system", "user"]
    again = trajectory_from_messages(messages, reward=played.reward, success=played.success)
    assert [(turn.prompt, turn.action, turn.observation) for turn in again.turns] == [
        (turn.prompt, turn.action, turn.observation) for turn in played.turns
    ]
    assert messages_from_trajectory(again) == messages


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def called(name: str, given: str = "{}") -> dict[str, Any]:
    function = {"name": name, "arguments": given}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}


def answered(content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "1", "content": content}


def test_calls_and_results_read_as_open_models_write_them() -> None:
    twice = called("get", '{"id": 1}')
    twice["tool_calls"].append({"id": "2", "type": "function", "function": {"name": "put", "arguments": "{}"}})
    trajectory = trajectory_from_messages(
        [user("Go."), twice, answered("one"), {**answered("two"), "tool_call_id": "2"}]
    )
    (turn,) = trajectory.turns
    first, second = turn.action.text.splitlines()
    assert first == '<tool_call>{"name": "get", "arguments": {"id": 1}}</tool_call>'
    assert second == '<tool_call>{"name": "put", "arguments": {}}</tool_call>'
    assert turn.observation == "<tool>\none\n</tool>\n<tool>\ntwo\n</tool>"
    assert turn.prompt == (Message("user", "Go."),)


ERRORS = [
    ("Error: order not found", "Error: order not found"),
    ("ValueError: bad id\nmore", "ValueError: bad id"),
    ("Traceback (most recent call last):\n  File x\nKeyError: 'a'", "KeyError: 'a'"),
    ('{"error": "no such user"}', "no such user"),
    ('{"error": {"code": 4}}', '{"code": 4}'),
    ('{"success": false, "message": "sold out"}', "sold out"),
    ('{"isError": true, "content": "denied"}', "denied"),
    ('{"isError": true}', "not a success"),
    ("zsh: command not found: x", "zsh: command not found: x"),
    ("sh: 1: foo: not found", "sh: 1: foo: not found"),
    ("-bash: foo: command not found", "-bash: foo: command not found"),
    ("tcsh: foo: Command not found.", "tcsh: foo: Command not found."),
    ("rbash: foo: command not found", "rbash: foo: command not found"),
    ("/bin/sh: 1: foo: not found", "/bin/sh: 1: foo: not found"),
    ("/bin/bash: line 1: foo: command not found", "/bin/bash: line 1: foo: command not found"),
    ("bash: line 1: cd: /x: No such file or directory", "bash: line 1: cd: /x: No such file or directory"),
    ("Error", "Error"),
]
FINE = [
    "",
    "No errors found.",
    "Errors: 0",
    '{"error": null, "items": []}',
    '{"success": true}',
    "{broken",
    "[1]",
    "ErrorLog.txt",
    "push: no such file was not found",
]


@pytest.mark.parametrize(("answer", "error"), [*ERRORS, *((answer, "") for answer in FINE)])
def test_an_error_of_a_tool_is_seen_in_any_trace(answer: str, error: str) -> None:
    messages = [user("Go."), called("get"), answered(answer), called("put"), answered("ok")]
    (diagnosis,) = RulesReflector().reflect([trajectory_from_messages(messages)])
    found = {finding.turn: finding for finding in diagnosis.findings}
    assert (0 in found) == bool(error)
    if error:
        assert (found[0].verdict, found[0].cause) == (Verdict.INVALID, f"the tool answered: {error}")
    words_alone = [
        user("Go."),
        {"role": "assistant", "content": "?"},
        {"role": "user", "content": answer},
    ]
    (diagnosis,) = RulesReflector().reflect([trajectory_from_messages([*words_alone, called("put"), answered("ok")])])
    assert not diagnosis.findings  # nobody called a tool


def test_an_error_among_parallel_results_counts() -> None:
    both = [called("get"), answered("ok"), {**answered('{"error": "late"}'), "tool_call_id": "2"}]
    (diagnosis,) = RulesReflector().reflect([trajectory_from_messages([user("Go."), *both])])
    assert diagnosis.about(0) == "invalid: the tool answered: late"


def test_without_a_reward_nobody_speaks_of_one() -> None:
    messages = [
        user("Go."),
        {"role": "assistant", "content": "gone"},
        {"role": "user", "content": "x"},
    ]
    unknown, known = trajectory_from_messages(messages), trajectory_from_messages(messages, reward=0.25)
    (nothing,), (ended,) = (RulesReflector().reflect([each]) for each in (unknown, known))
    assert nothing.findings == ()
    assert ended.findings[0].cause == "ended the episode with reward 0.25"
    assert "Final reward: 0.25" in review_prompt(known)[-1].content
    assert "eward" not in review_prompt(unknown)[-1].content
    for each, shown in ((unknown, False), (known, True)):
        context = HindsightTeacher().context(each, 0, Diagnosis("me", ended.findings))
        assert context
        assert ("Final reward" in context[-1].content) == shown


IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("hello", "message 1 is 'hello'; a message is an object with a role"),
        ({"content": "x"}, "a message is an object with a role"),
        ({"role": "developer", "content": "x"}, "has the role 'developer'"),
        ({"role": "user", "content": 3}, "the content of message 1 is 3"),
        ({"role": "user", "content": IMAGE}, "parts that are no text, such as images"),
        ({"role": "user", "content": "x", "tool_calls": called("f")["tool_calls"]}, "which only the assistant can"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "a call has a function with name and arguments"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "the older form"),
        ({"role": "assistant", "content": None, "refusal": "no"}, "has a refusal, write it as content"),
        ({"role": "assistant", "tool_calls": 5}, "the tool_calls of message 1 are 5, not a list"),
        ({"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]}, "a call has a function with name"),
        ({"role": "user", "content": None}, "has no content, which only a message of the assistant may lack"),
        ({"role": "tool", "content": "x", "tool_call_id": "1"}, "no message of the assistant comes before it"),
        ({**called("f"), "content": '<tool_call>{"name": "g", "arguments": {}}</tool_call>'}, "marks of a tool call"),
    ],
)
def test_what_a_trajectory_cannot_hold_is_named(message: Any, error: str) -> None:
    with pytest.raises(DataError, match=error):
        trajectory_from_messages([user("Go."), message])


def test_marks_of_results_in_results_are_refused() -> None:
    inside = answered("a\n</tool>\n<tool>\nb")
    with pytest.raises(DataError, match="messages 1 to 2 have the marks of a result in their text"):
        trajectory_from_messages([called("f"), inside, inside])


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "Go "}, {"type": "text", "text": "on."}]
    trajectory = trajectory_from_messages([{"role": "user", "content": parts}, {"role": "assistant", "content": parts}])
    assert trajectory.turns[0].prompt[0].content == trajectory.turns[0].action.text == "Go on."


def test_a_window_of_turns_is_no_trace() -> None:
    trajectory = trajectory_from_messages([user("a"), called("f"), answered("b"), called("g")])
    first, second = trajectory.turns
    cut = type(trajectory)(
        "x", "", 0, (first, type(second)((Message("user", "b"),), second.action, "", 0.0)), Stop.UNKNOWN
    )
    with pytest.raises(DataError, match="the prompt of turn 1 is not the conversation so far"):
        messages_from_trajectory(cut)
