"""The user played by a model, against an endpoint of this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.envs.taubench.users.base import GREETING, STOP
from hero.errors import ConfigError

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser
from tests.endpoint.server import Endpoint, Handler, completion, model_user, task


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
def test_an_answer_that_is_not_a_chat_completion_is_reported_without_the_key(endpoint: Endpoint, content: Any) -> None:
    endpoint.content = content
    with model_user(endpoint, key="ghost-key") as user:
        with pytest.raises(ConfigError, match="is not a chat completion") as raised:
            user.open(task("x"))
        assert "ghost" not in str(raised.value)


def test_parameters_of_a_request_can_be_chosen_and_left_out(endpoint: Endpoint) -> None:
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
    ("reason", "advice"),
    [
        (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported.",
            "leave temperature out with temperature=null in user_args",
        ),
        ('{"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]}', "seed=null in user_args"),
        (
            "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            'max_tokens=null in user_args; give "parameters": {"max_completion_tokens": 1024} instead',
        ),
        ("no top_k here", "take top_k out of the parameters in user_args"),
        (f"{' ' * 5000}temperature", "temperature=null in user_args"),
    ],
)
def test_a_parameter_that_is_refused_is_named_with_the_setting_that_leaves_it_out(
    endpoint: Endpoint, reason: str, advice: str
) -> None:
    def refuse(handler: Handler) -> None:
        handler.answer(json.dumps({"error": {"message": reason}}).encode(), 400)

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
        ({"model": 5}, "the model of user=model must be a str"),
        ({"recording": 5}, "recording=5 is not a path"),
    ],
)
def test_wrong_arguments_of_a_model_user(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelUser(**({"model": "m"} | arguments))


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


def test_half_a_surrogate_pair_is_neither_sent_nor_returned(endpoint: Endpoint) -> None:
    endpoint.content = {"choices": [{"message": {"content": "a\ud800"}}]}
    with model_user(endpoint) as user:
        assert user.open(task("x")) == user.reply("\udc00b") == "a?"
    assert [message["content"] for message in endpoint.requests[1]["messages"][2:]] == ["a?", "?b"]
