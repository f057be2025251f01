"""Users: by rules, from a recording, typed, and played by a model behind a local endpoint."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.taubench.embedded import generate
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.scripted import PATIENCE, ScriptedUser
from hero.envs.taubench.task import Task
from hero.envs.taubench.users import GREETING, STOP, HumanUser, ReplayUser
from hero.errors import ConfigError, DataError
from tests.envs.taubench_recorded import DATA, needs_recordings

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.model_user import ModelUser, Recording

TEXT = (
    "You are Ann Lee in 12345. You are impatient. You want to return the lamp of order #W123. "
    "You'd like the refund on your paypal. If that is not possible, keep it."
)


def task(instruction: str, name: str = "t") -> Task:
    return Task(name, instruction, (), ())


def talk(instruction: str, *messages: str) -> list[str]:
    """What the scripted user says, opening first."""
    user = ScriptedUser()
    return [user.open(task(instruction)), *map(user.reply, messages)]


def test_a_conversation_by_rules() -> None:
    said = talk(
        TEXT,
        "Happy to help. What is your email, please?",
        "Then your name and zip code?",
        "Which order is it?",
        "How should the refund be paid?",
        "I will return the lamp of #W123 to your paypal. Do you confirm (yes/no)?",
        "The return was requested. Is there anything else?",
    )
    assert said == [
        "I want to return the lamp of order #W123.",
        "My name is Ann Lee, my zip code is 12345, I do not remember my email.",
        "My name is Ann Lee, my zip code is 12345.",
        "It is #W123.",
        "I'd like the refund on my paypal.",
        "Yes, please go ahead.",
        STOP,
    ]


def test_more_wishes_come_before_the_end() -> None:
    text = "You are Ann Lee, ann@x.com. You want to cancel order #W1. You also want to return order #W2."
    said = talk(text, "It has been cancelled. Anything else?", "That was returned. Anything else?")
    assert said[1:] == ["I also want to return order #W2.", STOP]


def test_what_the_text_does_not_say_is_not_made_up() -> None:
    user = ScriptedUser()
    user.open(task("You want to go home."))
    assert user.reply("What is your email?") == "I do not remember my email."
    assert user.reply("Which order is it?") == "I do not remember the number."
    said = [user.reply("Which payment method do you prefer?") for _ in range(PATIENCE)]
    assert said == ["I have nothing in mind about the payment."] * (PATIENCE - 1) + [STOP]


def test_what_the_text_says_of_being_asked_to_confirm_is_said_then() -> None:
    said = talk(
        "You want to return both. If the agent asks for confirmation, return the lamp only.", "Do you confirm?", "So?"
    )
    assert said[1] == "If the agent asks for confirmation, return the lamp only."


def test_a_refusal_ends_the_conversation_once_all_is_said() -> None:
    said = talk(TEXT, "I am sorry, that cannot be done.", "I am sorry, that cannot be done.")
    assert said[1].startswith("I'd like the refund on my paypal.")
    assert said[2] == STOP


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=6))
def test_the_scripted_user_never_fails_and_repeats_itself_to_the_letter(instruction: str, messages: list[str]) -> None:
    said = talk(instruction, *messages)
    assert said == talk(instruction, *messages)
    assert said[0]


@given(st.integers(0, 399))
def test_the_scripted_user_knows_the_text_of_the_task_alone(number: int) -> None:
    hidden = generate().tasks["train"][number]
    bare = Task("other", hidden.instruction, (), ())
    asked = ["Your email or zip?", "Which order?", "Which payment method?", "Confirm?", "What else?", "Anything else?"]
    users = ScriptedUser(), ScriptedUser()
    assert users[0].open(hidden) == users[1].open(bare)
    assert [users[0].reply(message) for message in asked] == [users[1].reply(message) for message in asked]


def test_an_agent_that_asks_tells_and_confirms_is_served_by_the_scripted_user() -> None:
    env = TauBenchEnv(data="embedded")
    for number in range(env.num_tasks):
        env.reset(options={"task": number})
        seen = [env.step("May I have your email, or your name and zip code?")[0]]
        given_call = env._task.actions[0]
        wanted = given_call.arguments.get("email", given_call.arguments.get("zip"))
        assert str(wanted) in seen[0], seen
        for call in env._task.actions:
            if call.name.startswith(("cancel", "modify", "exchange", "return")):
                assert env.step("I will do that. Do you confirm (yes/no)?")[0].startswith("Yes")
            env.step(json.dumps({"name": call.name, "arguments": call.arguments}))
        for _ in range(4):
            told = " ".join(["It has been done.", *env._task.outputs, "Anything else?"])
            _, reward, terminated, _, _ = env.step(told)
            if terminated:
                break
        assert (reward, terminated) == (1.0, True), env._task


@needs_recordings
@pytest.mark.parametrize(("domain", "split"), [("retail", "test"), ("retail", "train"), ("airline", "test")])
def test_the_scripted_user_tells_who_it_is_on_the_original_tasks(domain: Any, split: str) -> None:
    env = TauBenchEnv(domain=domain, split=split, data=DATA)
    for number in range(env.num_tasks):
        assert env.reset(options={"task": number})[0]
        text = env._task.instruction
        answer = env.step("Please tell me your user id, your email, or your name and zip code.")[0]
        known = re.findall(r"\b[a-z]+_[a-z]+_\d+\b|[\w.]+@example\.com|(?<![\d#])\d{5}(?!\d)", text)
        assert not known or any(piece in answer for piece in known), (text, answer)


def test_what_was_recorded_is_said_again() -> None:
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


class Endpoint(HTTPServer):
    """A chat endpoint that answers with how many messages it got, after failing as often as it is told to."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.failures: list[int] = []
        self.content: Any = None
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        if self.server.failures:
            self.send_response(self.server.failures.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.requests.append(body)
        self.server.keys.append(self.headers["Authorization"])
        answer = self.server.content or {
            "choices": [{"message": {"role": "assistant", "content": f"answer {len(body['messages'])}"}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def model_user(endpoint: Endpoint, **rest: Any) -> ModelUser:
    return ModelUser(**({"model": "some/model", "url": endpoint.url, "wait": 0.001} | rest))


def test_a_model_plays_the_user(endpoint: Endpoint) -> None:
    with model_user(endpoint, key="secret", seed=5, temperature=0.7, prices=(2.0, 10.0)) as user:
        env = TauBenchEnv(data="embedded", user=user)
        assert env.env_id == "taubench/retail/embedded/model:some/model"
        assert env.reset(options={"task": 0})[0] == "answer 2"
        assert env.step("Who are you?")[0] == "answer 4"
    first, second = endpoint.requests
    assert (first["model"], first["seed"], first["temperature"]) == ("some/model", 5, 0.7)
    assert env._task.instruction in first["messages"][0]["content"]
    assert STOP in first["messages"][0]["content"]
    assert first["messages"][1] == {"role": "user", "content": GREETING}
    assert second["messages"][2:] == [
        {"role": "assistant", "content": "answer 2"},
        {"role": "user", "content": "Who are you?"},
    ]
    assert endpoint.keys == ["Bearer secret"] * 2
    assert (user.usage.calls, user.usage.prompt_tokens, user.usage.completion_tokens) == (2, 200, 20)
    assert user.usage.dollars == pytest.approx(200 * 2e-6 + 20 * 10e-6)


def test_a_busy_endpoint_is_asked_again_and_a_dead_one_given_up(endpoint: Endpoint) -> None:
    endpoint.failures = [503, 429]
    with model_user(endpoint, attempts=3) as user:
        assert user.open(task("x")) == "answer 2"
        endpoint.failures = [500] * 3
        with pytest.raises(ConfigError, match="does not answer: status 500"):
            user.open(task("x"))
        endpoint.failures = [401]
        with pytest.raises(ConfigError, match="refuses: status 401"):
            user.open(task("x"))
        assert endpoint.failures == []
        endpoint.content = {"choices": []}
        with pytest.raises(ConfigError, match="no chat completion"):
            user.open(task("x"))
    with (
        ModelUser(model="m", url="http://127.0.0.1:9", attempts=2, wait=0.001) as nowhere,
        pytest.raises(ConfigError, match="does not answer"),
    ):
        nowhere.open(task("x"))


def test_a_recorded_conversation_needs_no_endpoint(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "user.jsonl"
    agent = ["Hello", "Who are you?"]

    def played(user: ModelUser) -> list[Any]:
        with user:
            env = TauBenchEnv(data="embedded", user=user)
            return [env.reset(options={"task": 3}), *map(env.step, agent)]

    first = played(model_user(endpoint, recording=Recording(file)))
    assert len(endpoint.requests) == 3
    offline = ModelUser(model="some/model", recording=Recording(file), offline=True)
    assert played(offline) == first
    assert offline.usage.calls == 0
    assert len(endpoint.requests) == 3
    with (
        ModelUser(model="some/model", recording=Recording(file), offline=True, seed=1) as other,
        pytest.raises(ConfigError, match="nothing was recorded"),
    ):
        played(other)
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(DataError, match=r"user\.jsonl, line 4"):
        Recording(file)


def test_the_model_user_by_name(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HERO_USER_MODEL", raising=False)
    with pytest.raises(ConfigError, match="HERO_USER_MODEL"):
        TauBenchEnv(data="embedded", user="model")
    monkeypatch.setenv("HERO_USER_MODEL", "small")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("HERO_USER_RECORDING", str(tmp_path / "user.jsonl"))
    envs = [TauBenchEnv(data="embedded", user="model") for _ in range(2)]
    assert [env.reset(options={"task": 0})[0] for env in envs] == ["answer 2"] * 2
    assert len(endpoint.requests) == 1, "environments of a process share the recording"
    assert endpoint.keys == ["Bearer k"]
    for env in envs:
        env.close()
    with pytest.raises(ConfigError, match="offline needs a recording"):
        ModelUser(model="m", offline=True)
