"""Thoughts are separated from actions: in every form, for every parser, at hostile sizes."""

from __future__ import annotations

import json
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.chat.thoughts import action_input, readings, split
from hero.chat.tool_calls import call_text
from hero.envs.taubench.action import Call, Malformed, Reply
from hero.envs.taubench.action import parse_action as parse_taubench
from hero.envs.taubench.env import _was_said
from hero.envs.webshop.actions import Command
from hero.envs.webshop.actions import parse_action as parse_webshop
from hero.envs.webshop.rules.episode import argument
from hero.reflect.model import parse_review
from hero.reflect.rules import RulesReflector
from hero.types import Action, Stop, Trajectory, Turn, Verdict
from tests.hostile import limited

plain = st.text(string.ascii_letters + string.digits + " .,!?\n", max_size=40).map(str.strip)
"""Text without the beginning of any thought."""

FORMS: dict[str, Callable[[str, str], str]] = {
    "think": lambda thought, words: f"<think>\n{thought}\n</think>\n\n{words}",
    "opened by the template": lambda thought, words: f"{thought}\n</think>\n\n{words}",
    "think, capitals": lambda thought, words: f"<Think>{thought}</THINK >\n{words}",
    "think, with carriage returns": lambda thought, words: f"<think>\r\n{thought}\r\n</think>\r\n\r\n{words}\r\n",
    "think, empty": lambda thought, words: f"{thought}<think>\n\n</think>\n\n</think>{words}",
    "thinking": lambda thought, words: f"<thinking>{thought}</thinking>{words}",
    "thought": lambda thought, words: f"<thought>{thought}</thought>\n{words}",
    "reasoning": lambda thought, words: f"<reasoning>{thought}</reasoning>\n{words}",
    "mistral": lambda thought, words: f"[THINK]{thought}[/THINK]{words}",
    "kimi": lambda thought, words: f"◁think▷{thought}◁/think▷{words}",
    "seed": lambda thought, words: f"<seed:think>{thought}</seed:think>{words}",
    "reflection": lambda thought, words: f"<reflection>{thought}</reflection>{words}",
    "sky": lambda thought, words: (
        f"<|begin_of_thought|>{thought}<|end_of_thought|>\n<|begin_of_solution|>{words}<|end_of_solution|>"
    ),
    "command, both framed": lambda thought, words: (
        f"<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{words}<|END_RESPONSE|>"
    ),
    "medgemma": lambda thought, words: f"<unused94>thought\n{thought}<unused95>{words}",
    "gpt-oss, a preamble": lambda thought, words: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>commentary<|message|>{words}<|end|>"
    ),
    "command": lambda thought, words: f"<|START_THINKING|>{thought}<|END_THINKING|>{words}",
    "gemma": lambda thought, words: f"<|channel>thought\n{thought}<channel|>{words}",
    "gpt-oss": lambda thought, words: (
        f"<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{words}"
    ),
    "react": lambda thought, words: f"Thought: {thought}\nAction: {words}",
    "react, numbered": lambda thought, words: f"Thought 1: {thought}\nAction 1: {words}",
    "react, bold": lambda thought, words: f"**Thought:** {thought}\n\n**Action:** {words}",
    "react, a list": lambda thought, words: f"1. Thought: {thought}\n2. Action: {words}",
    "react, headings": lambda thought, words: f"### Thought\n{thought}\n\n### Action\n{words}",
    "react, bold headings": lambda thought, words: f"**Thought 1**\n{thought}\n**Action 1**\n{words}",
    "react, answer": lambda thought, words: f"Thought: {thought}\nFinal Answer: {words}",
    "react, last": lambda thought, words: f"{words}\nThought: {thought}",
    "react, a line": lambda thought, words: f"Thought: {thought.replace('action', '')} Action: {words}",
    "react, going on": lambda thought, words: (
        f"Thought: {thought}\nAction: {words}\nObservation: ok\nThought: x\nAction: y"
    ),
}
CALL = {"name": "get_order_details", "arguments": {"order_id": "#W1"}}
WRAPPINGS: dict[str, Callable[[str], str]] = {
    "bare": lambda action: action,
    "fence": lambda action: f"```\n{action}\n```",
    "fence in a line": lambda action: f"```{action}```",
    "named fence": lambda action: f"```text\n{action}\n```",
    "fence after words": lambda action: f"I will do this now:\n```json\n{action}\n```\nand then the rest.",
    "action tag": lambda action: f"<action>{action}</action>",
    "answer tag": lambda action: f"Sure.\n<answer>\n{action}\n</answer>",
    "tool call tag": lambda action: f"<tool_call>\n{action}\n</tool_call>",
    "backticks": lambda action: f"`{action}`",
    "label": lambda action: f"Action: {action}",
    "label after words": lambda action: f"I will look.\nAction: {action}",
}


@pytest.mark.parametrize("form", FORMS)
@given(plain.filter(lambda text: "action" not in text.lower()), plain.filter(bool))
def test_every_form_is_separated(form: str, thought: str, words: str) -> None:
    assert split(FORMS[form](thought, words)) == (thought, words)


@given(plain)
def test_a_text_without_thoughts_stays_as_it_is(text: str) -> None:
    if not text.lower().lstrip().startswith(("thought", "action")):
        assert split(f" {text}\n") == ("", f" {text}\n")


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "Thought:", "Action:", "[THINK]", "\n", "a", " "])).map("".join)
)
def test_no_tag_is_left_and_nothing_is_lost(text: str) -> None:
    thought, words = split(text)
    assert "<think>" not in words
    assert "</think>" not in words
    assert (thought + words).count("a") == text.count("a") or "Action:" in text
    assert next(readings(text)) == words.strip() or "Action:" in words


def test_a_thought_without_end_leaves_no_words() -> None:
    assert split("<think> I could search[shoes]") == ("I could search[shoes]", "")
    assert split("Thought: I could search[shoes]") == ("I could search[shoes]", "")


def test_words_between_thoughts_stay() -> None:
    assert split("<think>a</think>It is 5.<think>b</think> Bye.") == ("a\nb", "It is 5. Bye.")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_webshop_and_its_rules_read_the_action_behind_a_thought(form: str, wrapping: str) -> None:
    text = FORMS[form]("click[buy now]?", WRAPPINGS[wrapping]("search[rain jacket]"))
    assert parse_webshop(text) == Command("search", "rain jacket")
    assert argument("search", text) == "rain jacket"
    assert argument("click", text) == ""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_taubench_reads_the_call_behind_a_thought(form: str, wrapping: str) -> None:
    draft = '<tool_call>{"name": "cancel_pending_order", "arguments": {}}</tool_call>'
    text = FORMS[form](draft, WRAPPINGS[wrapping](json.dumps(CALL)))
    assert parse_taubench(text) == Call("get_order_details", {"order_id": "#W1"})


@pytest.mark.parametrize("name", ["Action Input:", "**Action Input:**", "Action Input 1:", "\r\n- Action Input :"])
@pytest.mark.parametrize("quoted", ["{}", "`{}`", "```json\n{}\n```", "{}\nObservation: ok\nThought: x"])
@pytest.mark.parametrize("head", ["Thought: hm\n", "I will look.\n", "<think>\n\n</think>\n\n", ""])
def test_an_action_on_two_lines(name: str, quoted: str, head: str) -> None:
    text = f"{head}Action: search\n{name} {quoted.format('rain jacket')}"
    assert action_input(text) == ("search", "rain jacket")
    assert parse_webshop(text) == Command("search", "rain jacket")
    assert argument("search", text) == "rain jacket"
    text = f"{head}Action: `get_order_details`\n{name} {quoted.replace('{}', json.dumps(CALL['arguments']))}"
    assert parse_taubench(text) == Call("get_order_details", {"order_id": "#W1"})


@pytest.mark.parametrize(
    "between", ["\n", "\n\n", "\nObservation: [SEP] click[b]\nThought: next\n", "\n### Observation\nok\n"]
)
@pytest.mark.parametrize("label", ["Action: ", "**Action 1:** ", "- Action: ", "Thought: hm\nAction: "])
def test_the_first_of_several_actions_counts(label: str, between: str) -> None:
    steps = [f"{label}{action}" for action in ("search[a]", "click[b]", "click[c]")]
    assert parse_webshop(between.join(steps)) == Command("search", "a")
    assert argument("search", between.join(steps)) == "a"
    calls = [json.dumps(CALL), '{"name": "cancel_pending_order", "arguments": {}}']
    text = between.join(f"{label}{call}" for call in calls)
    assert parse_taubench(text) == Call("get_order_details", {"order_id": "#W1"})


def test_a_thought_after_the_action_is_left_out() -> None:
    assert split("Action: search[a]\nThought: now click[b]") == ("", "search[a]")
    assert split("Done.\nThought: what now?") == ("what now?", "Done.")


def test_an_explanation_below_a_labelled_action_is_passed_over() -> None:
    assert parse_webshop("Thought: hm\nAction: `search[a]`\n\nThis finds it.") == Command("search", "a")
    assert parse_webshop("search[a]\n\nThis finds it.") is None


PIECES = (
    *("search[a b]", "click[Buy Now]", "search[", "]", "[SEP]", " ", "\n", "\r\n", "hm", "{", "}", "`", "**", "'"),
    *(json.dumps(CALL), '{"name": "respond", "arguments": {"content": "Hi"}}', '{"name": "think"}', "```", "```json\n"),
    *("<think>", "</think>", "<THINK>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>", "<action>", "</action>"),
    *("Thought:", "Action:", "Action Input:", "Observation:", "**Action:**", "# Action\n", "1. ", "Final Answer:"),
    *("<|channel|>analysis<|message|>", "<|end|>", "<|channel|>final<|message|>", "search\nAction Input: X"),
)
pieced = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@given(pieced)
def test_environments_and_rules_read_the_same_action(text: str) -> None:
    command = parse_webshop(text)
    done = {command.verb: command.argument} if command else {}
    assert {name: value for name in ("search", "click") if (value := argument(name, text))} == done


@given(pieced)
def test_no_thought_reaches_the_user(text: str) -> None:
    move = parse_taubench(text)
    if isinstance(move, Reply):
        assert split(move.text).thought == ""
        assert move.text or not text.strip()


@pytest.mark.parametrize("form", FORMS)
def test_a_draft_alone_is_not_an_action(form: str) -> None:
    draft = f"search[shoes] {json.dumps(CALL)}"
    text = FORMS[form](draft, "")
    assert parse_webshop(text) is None
    assert argument("search", text) == ""
    assert isinstance(parse_taubench(text), Malformed)
    assert isinstance(parse_taubench(json.dumps({"name": "respond", "arguments": {"content": text}})), Malformed)


@pytest.mark.parametrize("form", FORMS)
def test_thoughts_are_cut_from_replies_to_the_user(form: str) -> None:
    text = FORMS[form]("the total is 1234.50", "I cannot tell.")
    assert parse_taubench(text) == Reply("I cannot tell.")
    assert not _was_said("1234.50", [text])
    assert _was_said("1234.50", [FORMS[form]("hm", "It is $1,234.50.")])
    reply = parse_taubench(json.dumps({"name": "respond", "arguments": {"content": text}}))
    assert isinstance(reply, Reply)
    assert reply.text.strip() == "I cannot tell."


def test_words_that_show_an_object_are_not_a_call() -> None:
    text = 'Your address:\n```json\n{"name": "Ann", "zip": "1"}\n```\nIs that right?'
    assert parse_taubench(text) == Reply(text)
    assert call_text(text) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_drafted_review_does_not_count(form: str) -> None:
    (finding,) = parse_review(FORMS[form]("1 failed: over budget", "1 useful"), 3)
    assert finding.verdict is Verdict.USEFUL


def test_rules_compare_what_was_done_not_what_was_thought() -> None:
    turns = tuple(
        Turn((), Action(f"<think>{index}</think>look"), observation, 0.0, info={"action_valid": True})
        for index, observation in enumerate(("a room", "", "a room", ""))
    )
    (diagnosis,) = RulesReflector().reflect([Trajectory("house", "0", 0, turns, Stop.TRUNCATED)])
    assert "done before in the same place" in diagnosis.about(3)


HOSTILE = (
    *("<think>", "</think>", "<think></think>", "[THINK]", "<|channel|>", "<action>", "<", "{", '"', "`", "```", "*"),
    *(
        "*",
        "_",
        "#",
        "**\n",
        "\n#",
        "-",
        "1. ",
        "\n1.\t",
        "\r",
        "\nAction Input",
        "Action 1 ",
        "</think ",
        "<|end|> ",
        "\n**",
        "[",
        "a\n",
    ),
    *(" ", "\n", "\n ", "Thought:", "\nAction:", "Action", "Action 1", "action ", "Action \n", "a\nAction Input:"),
)


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("before", ["", "Thought:", "Action", "a", "```", "a\n", "Action: a\n"])
def test_reading_takes_time_in_proportion_to_the_text(piece: str, before: str) -> None:
    text = before + piece * (100_000 // len(piece)) + "x"
    with limited(text):
        parse_webshop(text)
        parse_taubench(text)
