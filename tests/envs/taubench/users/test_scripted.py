"""Users who need no model: by rules, from a recording, typed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import GREETING, STOP, HumanUser, ReplayUser
from hero.envs.taubench.users.scripted import PATIENCE, ScriptedUser
from hero.errors import ConfigError
from tests.envs.taubench.recorded import DATA, needs_recordings
from tests.hostile import limited

TEXT = (
    "You are Ann Lee in 12345. You are impatient. You want to return the lamp of order #W123. "
    "You'd like the refund on your paypal. If that is not possible, keep it."
)


def task(instruction: str, name: str = "t") -> ServiceTask:
    return ServiceTask(name, instruction, (), ())


def talk(instruction: str, *messages: str) -> list[str]:
    """Returns the replies of the scripted user, the opening first."""
    user = ScriptedUser()
    return [user.open(task(instruction)), *map(user.reply, messages)]


def test_a_conversation_by_rules() -> None:
    replies = talk(
        TEXT,
        "Happy to help. What is your email, please?",
        "Then your name and zip code?",
        "Which order is it?",
        "How should the refund be paid?",
        "I will return the lamp of #W123 to your paypal. Do you confirm (yes/no)?",
        "The return was requested. Is there anything else?",
    )
    assert replies == [
        "I want to return the lamp of order #W123.",
        "My name is Ann Lee, my zip code is 12345, I do not remember my email.",
        "My name is Ann Lee, my zip code is 12345.",
        "It is #W123.",
        "I'd like the refund on my paypal.",
        "Yes, please go ahead.",
        STOP,
    ]


def test_an_address_to_send_to_is_given_and_is_not_the_user_s_own() -> None:
    replies = talk(
        "You are Ann Lee. Your email is ann.lee54321@example.com. You want order #W123 sent elsewhere. "
        "The new address is 1 Elm Street, Apt 2, Ashford, OH, USA, zip 67890.",
        "What are your email, name and zip code?",
        "Where should it go?",
    )
    assert replies[1] == "My email is ann.lee54321@example.com, my name is Ann Lee, I do not remember my zip."
    assert replies[2] == "The new address is 1 Elm Street, Apt 2, Ashford, OH, USA, zip 67890."


def test_numbers_of_reservations_are_given() -> None:
    replies = talk(
        "You want to cancel reservations IFOYYZ and 4WQ150, and paid 250000.", "What is the reservation number?"
    )
    assert replies[1] == "It is IFOYYZ and 4WQ150."


def test_more_wishes_come_before_the_end() -> None:
    text = "You are Ann Lee, ann@x.com. You want to cancel order #W1. You also want to return order #W2."
    replies = talk(text, "It has been cancelled. Anything else?", "That was returned. Anything else?")
    assert replies[1:] == ["I also want to return order #W2.", STOP]


def test_facts_that_the_text_lacks_are_not_made_up() -> None:
    user = ScriptedUser()
    user.open(task("You want to go home."))
    assert user.reply("What is your email?") == "I do not remember my email."
    assert user.reply("Which order is it?") == "I do not remember the number."
    replies = [user.reply("Which payment method do you prefer?") for _ in range(PATIENCE)]
    assert replies == ["I have nothing in mind about the payment."] * (PATIENCE - 1) + [STOP]


def test_words_for_a_confirmation_are_kept_for_the_question() -> None:
    replies = talk(
        "You want to return both. If the agent asks for confirmation, return the lamp only.", "Do you confirm?", "So?"
    )
    assert replies[1] == "If the agent asks for confirmation, return the lamp only."


def test_a_refusal_ends_the_conversation_once_nothing_is_left_to_ask_for() -> None:
    replies = talk(TEXT, "I am sorry, that cannot be done.", "I am sorry, that cannot be done.")
    assert replies[1].startswith("I'd like the refund on my paypal.")
    assert replies[2] == STOP


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=6))
def test_the_scripted_user_never_fails_and_repeats_itself_to_the_letter(instruction: str, messages: list[str]) -> None:
    replies = talk(instruction, *messages)
    assert replies == talk(instruction, *messages)
    assert replies[0]


@given(st.integers(0, 399))
def test_the_scripted_user_knows_the_text_of_the_task_alone(index: int) -> None:
    hidden = generate().tasks["train"][index]
    bare = ServiceTask("other", hidden.instruction, (), ())
    asked = ["Your email or zip?", "Which order?", "Which payment method?", "Confirm?", "What else?", "Anything else?"]
    users = ScriptedUser(), ScriptedUser()
    assert users[0].open(hidden) == users[1].open(bare)
    assert [users[0].reply(message) for message in asked] == [users[1].reply(message) for message in asked]


@pytest.mark.parametrize(
    "piece",
    ["a", "a_", "a.", "You are ", "You are A", " ", ". ", "\n", "#W1", "A1", "1", "a@", "a@b.", ". A{}", "you "],
)
def test_texts_without_measure_are_played_in_linear_time(piece: str) -> None:
    text = "".join(piece.format(index) for index in range(100_000 // len(piece)))
    asked = ["Your email, name and zip?", "Which order?", "Which payment method?", "Confirm?", "Anything else?", text]
    with limited(text):
        assert len(talk(text, *asked)) == len(asked) + 1


def test_the_scripted_user_serves_an_agent_that_asks_reports_and_confirms() -> None:
    env = TauBenchEnv(data="embedded")
    for index in range(env.num_tasks):
        env.reset(options={"task": index})
        seen = [env.step("May I have your email, or your name and zip code?")[0]]
        given_call = env._task.actions[0]
        wanted = given_call.arguments.get("email", given_call.arguments.get("zip"))
        assert str(wanted) in seen[0], seen
        for call in env._task.actions:
            if call.name.startswith(("cancel", "modify", "exchange", "return")):
                assert env.step("I will do that. Do you confirm (yes/no)?")[0].startswith("Yes")
            env.step(json.dumps({"name": call.name, "arguments": call.arguments}))
        for _ in range(4):
            message = " ".join(["It has been done.", *env._task.outputs, "Anything else?"])
            _, reward, terminated, _, _ = env.step(message)
            if terminated:
                break
        assert (reward, terminated) == (1.0, True), env._task


@needs_recordings
@pytest.mark.parametrize(("domain", "split"), [("retail", "test"), ("retail", "train"), ("airline", "test")])
def test_the_scripted_user_identifies_itself_on_the_original_tasks(domain: Any, split: str) -> None:
    env = TauBenchEnv(domain=domain, split=split, data=DATA)
    identities = 0
    for index in range(env.num_tasks):
        assert env.reset(options={"task": index})[0]
        text = env._task.instruction
        answer = env.step("Please tell me your user id, your email, or your name and zip code.")[0]
        given = re.findall(r"\b[a-z]+_[a-z]+_\d+\b|[\w.]+@example\.com|(?<![\d#])\d{5}(?!\d)", text)
        assert not given or any(piece in answer for piece in given), (text, answer)
        identities += bool(given)
    assert identities > env.num_tasks / 2


def test_recorded_replies_are_played_again() -> None:
    env = TauBenchEnv(data="embedded", user=ReplayUser({"train-0": ["Hello", "Yes"]}))
    assert env.env_id == "taubench/retail/embedded/replay"
    assert env.reset(options={"task": 0})[0] == "Hello"
    assert env.step("Sure?")[0] == "Yes"
    observation, _, terminated, _, _ = env.step("Done.")
    assert (observation, terminated) == (STOP, True)
    with pytest.raises(ConfigError, match="train-1"):
        env.reset(options={"task": 1})


def test_a_person_sees_the_task_and_the_agent() -> None:
    shown: list[str] = []

    def ask(text: str) -> str:
        shown.append(text)
        return "typed"

    env = TauBenchEnv(data="embedded", user=HumanUser(ask))
    assert env.reset(options={"task": 0})[0] == "typed"
    assert env.step("What is your name?")[0] == "typed"
    assert env._task.instruction in shown[0]
    assert GREETING in shown[0]
    assert "What is your name?" in shown[1]
