"""The rules on TauBench: findings about single turns from texts alone, without anything hidden."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.tools.domains import TOOLS, reads, writes
from hero.policy import FunctionPolicy
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.types import Action, Finding, Message, Stop, Trajectory, Turn, Verdict

LOOK = '{"name": "get_order_details", "arguments": {"order_id": "#W1"}}'
CANCEL = '{"name": "cancel_pending_order", "arguments": {"order_id": "#W1", "reason": "no longer needed"}}'
ORDER = '{"order_id": "#W1", "status": "pending"}'


def episode(*steps: tuple[str, str], reward: float = 0.0, stop: Stop = Stop.MAX_TURNS) -> Trajectory:
    """Returns an episode of actions and the observations that follow them."""
    turns, seen = [], "Hi."
    for index, (action, observation) in enumerate(steps):
        last = index == len(steps) - 1
        invalid = observation.startswith(("Error:", "Unknown action"))
        turns.append(
            Turn(
                prompt=(Message("user", seen),),
                action=Action(action),
                observation=observation,
                reward=reward if last else 0.0,
                feedback="wrong" if invalid else "",
                info={"action_valid": not invalid},
            )
        )
        seen = observation
    return Trajectory("taubench/retail/v1/model:m", "t", 0, tuple(turns), stop)


def findings_of(*steps: tuple[str, str], reward: float = 0.0, stop: Stop = Stop.MAX_TURNS) -> dict[int, Finding]:
    (diagnosis,) = RulesReflector().reflect([episode(*steps, reward=reward, stop=stop)])
    return {finding.turn: finding for finding in diagnosis.findings}


def test_errors_are_faulted_with_the_mended_call_where_they_show_how() -> None:
    wrong = '{"name": "get_order_details", "arguments": {"order_id": "W1"}}'
    findings = findings_of(
        (wrong, "Error: order not found"), ('{"name": "x"}', "Unknown action x"), ("{", "Error: no"), LAST
    )
    assert findings[0] == Finding(0, Verdict.FAILED, "order not found", f"<tool_call>{LOOK}</tool_call>")
    assert findings[1] == Finding(1, Verdict.FAILED, "Unknown action x")
    assert findings[2] == Finding(2, Verdict.INVALID, "wrong")


LAST = ("Bye.", "Hm.")


def test_a_call_that_was_answered_need_not_be_repeated_until_something_is_written() -> None:
    steps = [(LOOK, ORDER), ("Cancel it (yes/no)?", "Yes."), (f"<tool_call>{LOOK}</tool_call>", ORDER), (CANCEL, "{}")]
    findings = findings_of(*steps, (LOOK, ORDER + " "), LAST)
    assert findings[2] == Finding(2, Verdict.UNNECESSARY, "the same call was answered in turn 1")
    assert 4 not in findings
    assert 1 not in findings_of((LOOK, "Error: oh"), (LOOK, ORDER), LAST)


def test_a_change_that_fails_renews_no_call() -> None:
    agreed = ("Cancel it (yes/no)?", "Yes.")
    failed = (CANCEL, "Error: non-pending order cannot be cancelled")
    assert 3 not in findings_of((LOOK, ORDER), agreed, (CANCEL, "{}"), (LOOK, ORDER + " "), LAST)
    findings = findings_of((LOOK, ORDER), agreed, failed, (LOOK, ORDER), LAST)
    assert findings[3] == Finding(3, Verdict.UNNECESSARY, "the same call was answered in turn 1")


def test_a_yes_is_new_to_each_question_and_to_the_same_only_once() -> None:
    first, failed, other = ("Cancel it (yes/no)?", "Yes."), (CANCEL, "Error: no"), ("Refund it (yes/no)?", "Yes.")
    assert 2 not in findings_of(first, failed, other, LAST)
    again = findings_of(first, failed, first, LAST)[2]
    assert (again.verdict, again.cause) == (Verdict.UNNECESSARY, "the user said yes to it in turn 1")
    more = "Anything else?"
    assert 2 not in findings_of((more, "Yes, return it."), failed, (more, "Yes, cancel it."), LAST)


def test_a_change_needs_a_yes_first() -> None:
    early = findings_of((CANCEL, "{}"), LAST)[0]
    assert (early.verdict, early.cause) == (Verdict.FAILED, "the user has not said yes to it")
    assert early.advice == (
        "I will cancel pending order with order_id #W1, reason no longer needed. Do you confirm (yes/no)?"
    )
    for answer, blamed in (
        ("Yes, please go ahead.", False),
        ("ok", False),
        ("No, that is not correct.", True),
        ("Which one?", True),
    ):
        findings = findings_of(("I will cancel it. Right?", answer), (LOOK, ORDER), (CANCEL, "{}"), LAST)
        assert (2 in findings) == blamed, answer
    after = findings_of(("Cancel?", "Yes."), ("And why?", "I moved."), (CANCEL, "{}"), LAST)
    assert after[2].verdict is Verdict.FAILED
    talk = ("And why?", "I moved.")
    assert 2 not in findings_of((early.advice, "Yes."), talk, (CANCEL, "{}"), LAST)  # a yes to this very change holds
    other = early.advice.replace("#W1", "#W2")
    assert findings_of((other, "Yes."), talk, (CANCEL, "{}"), LAST)[2].verdict is Verdict.FAILED
    assert findings_of((early.advice, "Which one?"), talk, (CANCEL, "{}"), LAST)[2].verdict is Verdict.FAILED


def test_a_change_that_was_agreed_to_is_useful_in_an_episode_that_succeeds() -> None:
    findings = findings_of(("Cancel?", "Yes."), (CANCEL, "{}"), LAST, reward=1.0, stop=Stop.TERMINATED)
    assert findings[1] == Finding(1, Verdict.USEFUL)
    assert findings[2].verdict is Verdict.USEFUL


def test_facts_that_the_user_gave_need_not_be_asked_for_again() -> None:
    first = ("What is your email, please?", "My email is a@b.c.")
    findings = findings_of(first, (LOOK, ORDER), ("Please provide your email.", "It is still a@b.c."), LAST)
    assert findings[2] == Finding(2, Verdict.UNNECESSARY, "email asked for before, in turn 1")
    refused = ("What is your email, please?", "I do not remember my email.")
    assert 1 not in findings_of(refused, ("Is there an email after all?", "No."), LAST)
    assert 1 not in findings_of(first, ("Your email and your zip code, please?", "12345"), LAST)


def test_messages_that_bring_nothing_new_are_unnecessary() -> None:
    findings = findings_of(("Let me see.", "Hm."), ("One moment.", "Hi."), ("Now?", "Yes."), ("Really?", "Yes."), LAST)
    assert findings[1] == Finding(1, Verdict.UNNECESSARY, "the user said that before")
    assert 2 not in findings


def test_every_tool_declares_whether_it_reads_or_writes() -> None:
    names = {name for tools in TOOLS.values() for name in tools}
    assert {name for name in names if writes(name)} == {
        *("cancel_pending_order", "exchange_delivered_order_items", "modify_pending_order_address"),
        *("modify_pending_order_items", "modify_pending_order_payment", "modify_user_address"),
        *("return_delivered_order_items", "book_reservation", "cancel_reservation", "send_certificate"),
        *("update_reservation_baggages", "update_reservation_flights", "update_reservation_passengers"),
    }
    assert names - {name for name in names if reads(name) != writes(name)} == {"think", "transfer_to_human_agents"}
    assert not reads("get_item_details")
    assert not writes("open_sesame")


texts = st.one_of(st.text(max_size=40), st.sampled_from([LOOK, CANCEL, "Yes.", "Error: x", "What is your email?"]))


@given(st.lists(st.tuples(texts, texts), max_size=6), st.sampled_from([0.0, 1.0]))
def test_any_episode_can_be_judged(steps: list[tuple[str, str]], reward: float) -> None:
    (diagnosis,) = RulesReflector().reflect([episode(*steps, reward=reward)])
    assert all(finding.turn < len(steps) for finding in diagnosis.findings)


def test_careless_agents_are_found_out_on_the_embedded_world() -> None:
    env = TauBenchEnv(data="embedded")
    index = next(n for n, task in enumerate(env._tasks) if task.actions[-1].name == "cancel_pending_order")
    plan = [json.dumps({"name": call.name, "arguments": call.arguments}) for call in env._tasks[index].actions]
    script = [plan[1], plan[1], plan[-1], *["It has been done. Anything else?"] * 7]
    policy = FunctionPolicy(lambda messages: script[sum(message.role == "assistant" for message in messages)])
    (played,) = rollout([env], policy, [Task(index, 0)], max_turns=10)
    assert played.env_id == "taubench/retail/embedded/scripted"
    (diagnosis,) = RulesReflector().reflect([played])
    verdicts = {finding.turn: finding.verdict for finding in diagnosis.findings}
    assert verdicts[1] is Verdict.UNNECESSARY
    assert verdicts[2] is Verdict.FAILED
