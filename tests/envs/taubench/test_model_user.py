"""The user played by a model, against an endpoint of this process."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
import traceback
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import GREETING, STOP
from hero.envs.taubench.users.recording import Recording
from hero.errors import ConfigError, DataError, HeroError, UnavailableError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.runs.codec import encode_trajectory
from hero.types import Message, Stop
from tests.platforms import make_endless, make_link, make_pipe

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser


def task(instruction: str) -> ServiceTask:
    return ServiceTask("t", instruction, (), ())


class Endpoint(ThreadingHTTPServer):
    """A chat endpoint that answers with how many messages it got, after failing as often as it is told to."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.accepted: list[str | None] = []
        self.failures: list[int] = []
        self.content: Any = None
        self.encoding = ""
        self.over, self.hung_up = threading.Event(), threading.Event()
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
        self.server.accepted.append(self.headers["Accept-Encoding"])
        if callable(self.server.content):
            try:
                self.server.content(self)
            except OSError:
                self.server.hung_up.set()
            return
        if isinstance(self.server.content, bytes):
            self.answer(self.server.content)
            return
        answer = self.server.content or {
            "choices": [{"message": {"role": "assistant", "content": f"answer {len(body['messages'])}"}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
        self.answer(json.dumps(answer).encode())

    def answer(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.server.encoding:
            self.send_header("Content-Encoding", self.server.encoding)
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
        server.over.set()
        server.shutdown()
        thread.join()


def completion(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


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


def test_a_connection_is_kept_between_requests(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: Handler) -> None:
        connections.add(handler.client_address)
        handler.answer(completion("Yes."))

    connections: set[Any] = set()
    monkeypatch.setattr(Handler, "protocol_version", "HTTP/1.1")
    endpoint.content = answer
    with model_user(endpoint) as user:
        assert [user.open(task("x")), user.reply("Sure?")] == ["Yes."] * 2
    assert len(connections) == 1


def test_a_user_can_be_asked_while_an_event_loop_runs_as_in_a_notebook(endpoint: Endpoint) -> None:
    async def cell() -> list[str]:
        with model_user(endpoint) as user:
            return [user.open(task("x")), user.reply("Hm?")]

    assert asyncio.run(cell()) == ["answer 2", "answer 4"]


def test_a_user_that_is_closed_twice_stays_closed(endpoint: Endpoint) -> None:
    with model_user(endpoint) as user:
        user.open(task("x"))
        user.close()


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
        with pytest.raises(ConfigError, match="is not a chat completion"):
            user.open(task("x"))
    with (
        ModelUser(model="m", url="http://127.0.0.1:9", attempts=2, wait=0.001) as nowhere,
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        nowhere.open(task("x"))


@pytest.mark.parametrize(
    "content",
    [
        b'{"choices": [{"mess',
        b"[" * 100_000,
        b"\xff",
        b"null",
        {"choices": [{"message": {"content": ["hi"]}}]},
        b'{"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": Infinity}}',
        {"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": int("9" * 400)}},
        {"choices": [{"message": {"content": "hi"}}], "usage": {"completion_tokens": -1}},
        {"error": "the key ghost-key is unknown"},
    ],
)
def test_what_is_no_chat_completion_is_told_without_the_key(endpoint: Endpoint, content: Any) -> None:
    endpoint.content = content
    with model_user(endpoint, key="ghost-key") as user:
        with pytest.raises(ConfigError, match="is not a chat completion") as raised:
            user.open(task("x"))
        assert "ghost" not in str(raised.value)


@pytest.mark.parametrize(
    "echo",
    [
        lambda key, handler: b"HTTQ " + key.encode() + b"\r\n\r\n",
        lambda key, handler: b"HTTP/1.1 400 no\r\n\r\nnot " + key.encode(),
        lambda key, handler: b"HTTP/1.1 400 no\r\n\r\nnot " + quote(key, safe="").encode(),
        lambda key, handler: b"HTTP/1.1 400 no\r\n\r\nnot " + key.replace("/", "\\/").encode(),
        lambda key, handler: b"HTTP/1.1 400 no\r\n\r\nnot " + key.encode("utf-16-le"),
        lambda key, handler: b"HTTP/1.1 400 no\r\n\r\nnot " + handler.headers["Authorization"].encode(),
        lambda key, handler: (
            b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"choices": [{"message": {"content": key}}]}).encode()
        ),
    ],
)
def test_a_secret_is_not_repeated_however_it_is_spelt(endpoint: Endpoint, echo: Any, tmp_path: Path) -> None:
    key = "sk-ghost/+=ghost"

    def said(handler: Handler) -> None:
        handler.wfile.write(echo(key, handler))
        handler.close_connection = True

    endpoint.content = said
    recording = Recording(tmp_path / "said.jsonl")
    address = endpoint.url.replace("//", f"//bob:{quote(key, safe='')}@")
    for secret in ({"key": key}, {"url": address}):
        with model_user(endpoint, attempts=1, recording=recording, **secret) as user:
            try:
                heard = user.open(task("x"))
            except ConfigError as error:
                heard = "".join(traceback.format_exception(error))
        spelt = (key, quote(key, safe=""), base64.b64encode(f"bob:{key}".encode()).decode(), "ghost")
        assert not any(secret in heard.replace("\0", "") for secret in spelt)
    assert not (tmp_path / "said.jsonl").exists() or "ghost" not in (tmp_path / "said.jsonl").read_text()


def test_a_key_that_is_a_word_leaves_words_alone(endpoint: Endpoint) -> None:
    with model_user(endpoint, key="answer") as user:
        assert user.open(task("x")) == "answer 2"


def test_an_answer_that_cannot_be_decoded_is_asked_for_again(endpoint: Endpoint) -> None:
    endpoint.content, endpoint.encoding = b"no gzip", "gzip"
    with model_user(endpoint, attempts=2) as user, pytest.raises(ConfigError, match="does not answer"):
        user.open(task("x"))
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("status", [503, 504, None])
def test_an_endpoint_that_never_answers_is_given_up_by_the_whole_process(
    endpoint: Endpoint, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.failures, endpoint.content = [status] * 9 if status else [], silent
    users = [model_user(endpoint, attempts=2, timeout=0.05) for _ in range(2)]
    envs = [TauBenchEnv(data="embedded", user=user) for user in users]
    tasks = [Task(index, 0) for index in range(5)]
    for _ in range(2):
        with pytest.raises(UnavailableError, match=f"the user's model at {endpoint.url[:-1]} does not answer"):
            rollout(envs, FunctionPolicy(lambda messages: "Hm."), tasks, max_turns=2)
        with pytest.raises(UnavailableError), model_user(endpoint, timeout=0.05) as later:
            later.open(task("x"))
    for user in users:
        user.close()
    endpoint.over.set()
    assert len(endpoint.requests) + 9 * bool(status) - len(endpoint.failures) == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "hero"] == [
        "waiting for the user's model at http"
    ]


def test_an_endpoint_that_answered_is_given_up_at_the_second_silence_in_a_row(endpoint: Endpoint) -> None:
    with model_user(endpoint, attempts=1, timeout=0.1) as user:
        for content in (None, silent, None, silent):
            endpoint.content = content
            if content:
                with pytest.raises(ConfigError, match="does not answer: no answer within"):
                    user.open(task("x"))
            else:
                assert user.open(task("x")) == "answer 2"
        with pytest.raises(UnavailableError):
            user.open(task("x"))


@pytest.mark.parametrize("content", [429, 500, 401, b"oops", b"[]"])
def test_an_endpoint_that_answers_wrongly_is_not_given_up(endpoint: Endpoint, content: Any) -> None:
    with model_user(endpoint, attempts=2) as user:
        for _ in range(3):
            endpoint.failures = [content] * 2 if isinstance(content, int) else []
            endpoint.content = content
            with pytest.raises(ConfigError):
                user.open(task("x"))
        endpoint.failures, endpoint.content = [], None
        assert user.open(task("x")) == "answer 2"


def test_a_long_wait_is_reported_meanwhile_and_once(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def slow(handler: Handler) -> None:
        handler.server.over.wait(0.3)
        handler.answer(completion("Here."))

    monkeypatch.setattr("hero.envs.taubench.users.connection.PATIENCE", 0.05)
    endpoint.content, endpoint.failures = slow, [500]
    with model_user(endpoint) as user:
        assert [user.open(task("x")), user.reply("y")] == ["Here."] * 2
    said = [record.getMessage() for record in caplog.records if record.name == "hero"]
    assert [message.rpartition(": ")[2] for message in said] == ["status 500", "no answer within 0.05 s"]


@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("gzip", gzip.compress(b" " * (2**24 + 1)), "answers more than 16777216 bytes"),
        ("gzip, gzip", gzip.compress(gzip.compress(b" " * 2**24)), "answers in gzip, gzip, which was not asked for"),
        ("br", b"x", "answers in br, which was not asked for"),
        ("deflate", b"x", "answers in deflate, which was not asked for"),
    ],
)
def test_packed_answers_are_unpacked_within_bounds_or_not_at_all(
    endpoint: Endpoint, encoding: str, content: bytes, reason: str
) -> None:
    endpoint.content, endpoint.encoding = content, encoding
    with model_user(endpoint) as user, pytest.raises(ConfigError, match=reason):
        user.open(task("x"))
    assert endpoint.accepted == ["identity"]


def test_an_answer_that_is_packed_all_the_same_is_read(endpoint: Endpoint) -> None:
    endpoint.content, endpoint.encoding = gzip.compress(completion("Hello.")), "gzip"
    with model_user(endpoint) as user:
        assert user.open(task("x")) == "Hello."


def test_what_is_sent_can_be_chosen_and_left_out(endpoint: Endpoint) -> None:
    rest: dict[str, Any]
    for rest, sent in (
        ({}, {"temperature": 0.0, "seed": 0, "max_tokens": 1024}),
        ({"temperature": None, "seed": None, "max_tokens": None}, {}),
        (
            {"temperature": 1, "seed": 7, "max_tokens": None, "parameters": {"max_completion_tokens": 9, "top_p": 0.5}},
            {"temperature": 1, "seed": 7, "max_completion_tokens": 9, "top_p": 0.5},
        ),
        ({"parameters": {"seed": 3}}, {"temperature": 0.0, "seed": 3, "max_tokens": 1024}),
    ):
        with model_user(endpoint, **rest) as user:
            user.open(task("x"))
        request = endpoint.requests[-1]
        assert {name: request[name] for name in request.keys() - {"model", "messages"}} == sent


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported.",
            'leave temperature out with user_args={"temperature": null}',
        ),
        ('{"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]}', 'user_args={"seed": null}'),
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            'user_args={"max_tokens": null}; give "parameters": {"max_completion_tokens": 1024} instead',
        ),
        ("no top_k here", "take top_k out of the parameters of user_args"),
        (f"{' ' * 5000}temperature", 'user_args={"temperature": null}'),
    ],
)
def test_a_parameter_that_is_refused_is_named_with_the_setting_that_leaves_it_out(
    endpoint: Endpoint, said: str, advice: str
) -> None:
    def refuse(handler: Handler) -> None:
        handler.answer(json.dumps({"error": {"message": said}}).encode(), 400)

    endpoint.content = refuse
    with model_user(endpoint, parameters={"top_k": 1}) as user, pytest.raises(ConfigError) as raised:
        user.open(task("x"))
    assert advice in str(raised.value)
    assert str(raised.value).count("user_args") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": float("nan")}, "must be plain JSON"),
        ({"parameters": {"stop": {1}}}, "must be plain JSON"),
        ({"parameters": {"stop": "\ud800"}}, "must be plain JSON"),
        ({"model": "\udc00"}, "must be plain JSON"),
        ({"recording": "\ud800"}, "is not a path"),
        ({"parameters": {"messages": []}}, "parameters must not have 'messages'"),
        ({"parameters": {"stream": True}}, "parameters must not have 'stream'"),
        ({"parameters": ["seed"]}, "must be a mapping"),
        ({"prices": 5}, "must be two numbers"),
        ({"timeout": 0}, "timeout=0 must be a number from 0.001 to 86400"),
        ({"wait": float("inf")}, "wait=inf must be a number"),
        ({"attempts": 0}, "attempts=0 must be an integer from 1 to 1000"),
        ({"attempts": 2.5}, "attempts=2.5 must be an integer from 1 to 1000"),
        ({"timeout": float("nan")}, "timeout=nan must be a number"),
        ({"model": 5}, "the model of the user must be a str"),
        ({"recording": 5}, "recording=5 is not a path"),
    ],
)
def test_wrong_arguments_of_a_model_user(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelUser(**({"model": "m"} | arguments))


def silent(handler: Handler) -> None:
    """Says nothing."""
    handler.server.over.wait(5)


def dripping(handler: Handler) -> None:
    """Says a little every now and then."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b" ")


def dripping_headers(handler: Handler) -> None:
    """Never comes to the body."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"x")


def gone(handler: Handler) -> None:
    """Hangs up."""


def endless(handler: Handler) -> None:
    """Says more than anybody wants to hear."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(b" " * 2**20)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (silent, "does not answer: no answer within 0.2 s"),
        (dripping, "does not answer: no answer within 0.2 s"),
        (dripping_headers, "does not answer: no answer within 0.2 s"),
        (gone, "does not answer: Server disconnected"),
        (endless, "answers more than 16777216 bytes"),
        (b"oops", "is not a chat completion: oops"),
        (429, "does not answer: status 429"),
        (500, "does not answer: status 500"),
    ],
)
def test_an_episode_whose_user_fails_ends_as_data_and_the_others_go_on(
    endpoint: Endpoint, content: Any, reason: str
) -> None:
    def agent(messages: Sequence[Message]) -> str:
        if "task 1" in asked[-1]:
            endpoint.content, endpoint.failures = (None, [content] * 2) if isinstance(content, int) else (content, [])
        return "Hm."

    asked: list[str] = []

    class Naming(TauBenchEnv):
        def reset(self, **arguments: Any) -> Any:
            endpoint.content = None
            asked.append(f"task {arguments['options']['task']}")
            return super().reset(**arguments)

    timeout = 0.2 if "within 0.2 s" in reason else 20.0
    with model_user(endpoint, key="ghost-key", attempts=2, timeout=timeout) as user:
        tasks = [Task(index, 0) for index in range(3)]
        played = rollout([Naming(data="embedded", user=user)], FunctionPolicy(agent), tasks, max_turns=2)
    if content in (dripping, dripping_headers):
        assert endpoint.hung_up.wait(5)  # the connection is given up as well
    endpoint.over.set()
    assert [trajectory.stop for trajectory in played] == [Stop.MAX_TURNS, Stop.ERROR, Stop.MAX_TURNS]
    assert reason in played[1].error
    assert "ghost" not in json.dumps([encode_trajectory(trajectory) for trajectory in played])


def test_an_answer_may_be_empty_and_need_not_count_its_tokens(endpoint: Endpoint) -> None:
    endpoint.content = {"choices": [{"message": {"content": None}}], "usage": {"prompt_tokens": None}}
    with model_user(endpoint) as user:
        assert user.open(task("x")) == ""
        assert (user.usage.calls, user.usage.prompt_tokens) == (1, 0)


def test_a_user_who_thinks_says_only_words(endpoint: Endpoint) -> None:
    endpoint.content = completion("<think>They may want ###STOP### now.</think>Hello.")
    with model_user(endpoint) as user:
        assert user.open(task("Return it.")) == "Hello."
        user.reply("Which order?")
    assert "<think>" not in json.dumps(endpoint.requests[-1]["messages"])


def test_half_a_surrogate_pair_is_neither_sent_nor_said(endpoint: Endpoint) -> None:
    endpoint.content = {"choices": [{"message": {"content": "a\ud800"}}]}
    with model_user(endpoint) as user:
        assert user.open(task("x")) == user.reply("\udc00b") == "a?"
    assert [message["content"] for message in endpoint.requests[1]["messages"][2:]] == ["a?", "?b"]


UNUSABLE = r"the URL of the user's model \(not shown: .* must be http://host/path or https://host/path"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "ghost\n"}, "the key of the user's model"),
        ({"key": "ghöst"}, "the key of the user's model"),
        ({"url": "http://[::1"}, UNUSABLE),
        ({"url": "localhost:8000/v1"}, UNUSABLE),
        ({"url": "http://me:ghost@127.0.0.1:9/v1"}, "at http://127.0.0.1:9/v1 does not answer"),
        ({"url": "me:ghost@localhost:8000/v1"}, UNUSABLE),
        ({"url": "ghost@localhost"}, UNUSABLE),
        ({"url": "ghost:ghost"}, UNUSABLE),
        ({"url": "ftp://me:ghost@localhost"}, UNUSABLE),
        ({"url": "//me:ghost@localhost"}, UNUSABLE),
        ({"url": "http://me:gh/ost@localhost/v1"}, UNUSABLE),
        ({"url": "http://me:12/ghost@localhost/v1"}, UNUSABLE),
        ({"url": "http://me:gh?ost@localhost/v1"}, UNUSABLE),
        ({"url": "http://me:12#ghost@localhost/v1"}, UNUSABLE),
        ({"url": "http://localhost/v1?key=ghost"}, UNUSABLE),
        ({"url": "http://"}, UNUSABLE),
        ({"url": "http://\ud800"}, UNUSABLE),
        ({"url": ""}, "the url of the user must be a str"),
    ],
)
def test_keys_and_addresses_that_cannot_be_used_are_told_without_what_is_secret(
    arguments: dict[str, Any], message: str
) -> None:
    with (
        pytest.raises(HeroError, match=message) as raised,
        ModelUser(**({"model": "m", "attempts": 1} | arguments)) as user,
    ):
        user.open(task("x"))
    assert "gh" not in "".join(traceback.format_exception(raised.value)).partition("HeroError")[2]
    assert "gh" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_password_in_the_address_is_sent_and_not_logged(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with model_user(endpoint, url=endpoint.url.replace("//", "//me:ghost@")) as user:
        user.open(task("x"))
    assert endpoint.keys == ["Basic bWU6Z2hvc3Q="]
    assert "POST" in caplog.text
    assert "ghost" not in caplog.text
    assert "bWU6Z2hvc3Q=" not in caplog.text


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(ConfigError, match="the proxy that the environment names"):
        ModelUser(model="m")


def test_a_recording_that_breaks_off_goes_on(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "user.jsonl"
    with model_user(endpoint, recording=Recording(file)) as user:
        said = [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")]
    file.write_text(file.read_text()[:-20])
    with model_user(endpoint, recording=Recording(file)) as user:
        assert [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")] == said
    assert len(endpoint.requests) == 4, "the answer that was cut off is asked for again, and no other"
    offline = ModelUser(model="some/model", recording=Recording(file), offline=True)
    with offline as user:
        assert [user.open(task("x")), user.reply("Hello"), user.reply("Who are you?")] == said


def test_recordings_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a recording"):
        Recording(tmp_path)
    (tmp_path / "file").write_bytes(b"\xff")
    with pytest.raises(DataError, match="cannot be read as a recording"):
        Recording(tmp_path / "file")
    (tmp_path / "file").write_text("[" * 100_000)
    with pytest.raises(DataError, match="line 1 is not a recorded answer"):
        Recording(tmp_path / "file")
    with pytest.raises(DataError, match="cannot be written: "):
        Recording(tmp_path / "file" / "below").add("t", {}, "")


def test_after_a_write_that_failed_half_way_the_next_answer_is_kept(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "folder" / "user.jsonl")
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written: "):
        recording.add("t", {"a": 1}, "lost")
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").mkdir()
    recording.path.write_text('{"task": "t", "reque')
    recording.add("t", {"a": 2}, "kept")
    assert Recording(recording.path).find({"a": 2}) == "kept"


def test_no_bit_of_a_recording_changes_unnoticed(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "user.jsonl")
    requests: list[dict[str, Any]] = [{"a": number} for number in range(2)]
    for number, request in enumerate(requests):
        recording.add("t", request, "yno"[number])
    content, refused = recording.path.read_bytes(), 0
    for place in range(8 * len(content)):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        recording.path.write_bytes(changed)
        try:
            found = [Recording(recording.path).find(request) for request in requests]
        except DataError as error:
            found = [str(error).partition(" line")[0]]
            refused += 1
        assert found in (["y", "n"], [f"{recording.path},"])
    assert refused > 0.95 * 8 * len(content)


def test_a_recording_that_breaks_off_anywhere_keeps_what_is_whole(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "user.jsonl")
    requests: list[dict[str, Any]] = [{"seed": number} for number in range(2)]
    for request in requests:
        recording.add("t", request, "yes")
    content = recording.path.read_bytes()
    for length in range(content.index(b"\n") + 1, len(content)):
        recording.path.write_bytes(content[:length])
        found = Recording(recording.path)
        assert found.find(requests[0]) == "yes"
        if found.find(requests[1]) is None:
            found.add("t", requests[1], "yes")
        found.add("t", {}, "more")
        assert [Recording(recording.path).find(request) for request in (*requests, {})] == ["yes", "yes", "more"]


def test_recordings_that_are_no_files_or_have_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "user.jsonl"
    Recording(path).add("t", {}, "yes")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Recording(path).find({}) == "yes"
    make_pipe(tmp_path / "pipe")
    make_endless(tmp_path / "endless")
    make_link(tmp_path / "itself", "itself")
    for name in ("pipe", "endless", "itself"):
        with pytest.raises(DataError, match=f"{name} cannot be read as a recording"):
            Recording(tmp_path / name)


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


def by_name(**arguments: Any) -> TauBenchEnv:
    return TauBenchEnv(data="embedded", user="model", user_args=arguments)


def test_arguments_of_the_model_user_go_before_its_surroundings(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERO_USER_MODEL", "small")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere")
    env = by_name(model="large", url=endpoint.url, temperature=None, parameters={"top_p": 0.5})
    assert env.env_id == "taubench/retail/embedded/model:large"
    env.reset(seed=0)
    env.close()
    assert endpoint.requests[0]["top_p"] == 0.5
    assert "temperature" not in endpoint.requests[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "scripted", "user_args": {"model": "m"}}, "user_args are for user=model"),
        ({"user_args": 5}, "user_args=5 must be a mapping"),
        ({"user_args": {"key": "ghost"}}, "no 'key'; the key is taken from OPENAI_API_KEY"),
        ({"user_args": {"modell": "ghost"}}, "no 'modell'; it takes: attempts, "),
        ({"user_args": {"model": "m", "url": "http://me:ghost@localhost"}}, "give those in OPENAI_BASE_URL alone"),
    ],
)
def test_wrong_arguments_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        TauBenchEnv(**({"data": "embedded", "user": "model"} | arguments))
    assert "ghost" not in str(raised.value)


def test_what_was_taken_from_the_surroundings_is_reported_without_secrets_and_can_be_given_back(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERO_USER_MODEL", "small")
    monkeypatch.setenv("HERO_USER_RECORDING", str(tmp_path / "user.jsonl"))
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url.replace("//", "//me:ghost@"))
    monkeypatch.setenv("OPENAI_API_KEY", "ghost-key")
    env = by_name(seed=3)
    found = env.provenance()
    assert "ghost" not in json.dumps(found)
    assert found["user"] == {"model": "small", "url": endpoint.url[:-1]}
    assert found["arguments"] == {
        "data": "embedded",
        "user_args": {
            "seed": 3,
            "model": "small",
            "url": endpoint.url[:-1],
            "recording": str(tmp_path / "user.jsonl"),
            "offline": False,
        },
    }
    for name in ("HERO_USER_MODEL", "HERO_USER_RECORDING"):
        monkeypatch.delenv(name)
    again = TauBenchEnv(user="model", **found["arguments"])  # type: ignore[arg-type]
    assert again.provenance() == found
    again.reset(seed=0)
    assert endpoint.keys == ["Basic " + base64.b64encode(b"me:ghost").decode()]
    for made in (env, again):
        made.close()
