"""Keys, addresses and proxies: what cannot be used is named, and no secret is repeated."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hero.endpoint.recording import Recording
from hero.errors import ConfigError, HeroError

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser
from tests.endpoint.server import Endpoint, Handler, model_user, task


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

    def echo_secret(handler: Handler) -> None:
        handler.wfile.write(echo(key, handler))
        handler.close_connection = True

    endpoint.content = echo_secret
    recording = Recording(tmp_path / "answers.jsonl")
    address = endpoint.url.replace("//", f"//bob:{quote(key, safe='')}@")
    for secret in ({"key": key}, {"url": address}):
        with model_user(endpoint, attempts=1, recording=recording, **secret) as user:
            try:
                shown = user.open(task("x"))
            except ConfigError as error:
                shown = "".join(traceback.format_exception(error))
        spelt = (key, quote(key, safe=""), base64.b64encode(f"bob:{key}".encode()).decode(), "ghost")
        assert not any(secret in shown.replace("\0", "") for secret in spelt)
    assert not (tmp_path / "answers.jsonl").exists() or "ghost" not in (tmp_path / "answers.jsonl").read_text()


def test_a_key_that_is_a_word_leaves_words_alone(endpoint: Endpoint) -> None:
    with model_user(endpoint, key="answer") as user:
        assert user.open(task("x")) == "answer 2"


UNUSABLE = r"the URL of the model \(not shown: .* must be http://host/path or https://host/path"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": "ghost\n"}, "the key of the model"),
        ({"key": "ghöst"}, "the key of the model"),
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
        ({"url": ""}, "the url of user=model must be a str"),
    ],
)
def test_keys_and_addresses_that_cannot_be_used_are_reported_without_secrets(
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


def test_a_proxy_that_cannot_be_used_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:9")
    with pytest.raises(ConfigError, match="the proxy that the environment names"):
        ModelUser(model="m")
