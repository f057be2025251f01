"""Endpoints that are busy, slow, dead or out of bounds: what is asked again, and what is given up."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.errors import ConfigError, UnavailableError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.runs.codec import encode_trajectory
from hero.types import Message, Stop

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser
from tests.endpoint.server import (
    Endpoint,
    Handler,
    completion,
    dripping,
    dripping_headers,
    endless,
    gone,
    model_user,
    silent,
    task,
)


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
        with pytest.raises(UnavailableError, match=f"the model at {endpoint.url[:-1]} does not answer"):
            rollout(envs, FunctionPolicy(lambda messages: "Hm."), tasks, max_turns=2)
        with pytest.raises(UnavailableError), model_user(endpoint, timeout=0.05) as later:
            later.open(task("x"))
    for user in users:
        user.close()
    endpoint.over.set()
    assert len(endpoint.requests) + 9 * bool(status) - len(endpoint.failures) == 2
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.name == "hero"] == [
        "waiting for the model at http"
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

    monkeypatch.setattr("hero.endpoint.connection.PATIENCE", 0.05)
    endpoint.content, endpoint.failures = slow, [500]
    with model_user(endpoint) as user:
        assert [user.open(task("x")), user.reply("y")] == ["Here."] * 2
    warnings = [record.getMessage() for record in caplog.records if record.name == "hero"]
    assert [message.rpartition(": ")[2] for message in warnings] == ["status 500", "no answer within 0.05 s"]


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
