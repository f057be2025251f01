"""The user played by a model, against an endpoint of this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.task import Task
from hero.envs.taubench.users import GREETING, STOP
from hero.errors import ConfigError, DataError

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.model_user import ModelUser, Recording


def task(instruction: str) -> Task:
    return Task("t", instruction, (), ())


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
