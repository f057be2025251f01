"""The model user by name: its arguments, what environment variables say, and what is reported of both."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from hero.envs.taubench.env import TauBenchEnv
from hero.errors import ConfigError

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.envs.taubench.users.model import ModelUser
from tests.endpoint.server import Endpoint


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
    with pytest.raises(ConfigError, match="is offline, which needs a recording"):
        ModelUser(model="m", offline=True)


def by_name(**arguments: Any) -> TauBenchEnv:
    return TauBenchEnv(data="embedded", user="model", user_args=arguments)


def test_arguments_of_the_model_user_go_before_environment_variables(
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


def test_what_environment_variables_gave_is_reported_without_secrets_and_can_be_given_as_arguments(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERO_USER_MODEL", "small")
    monkeypatch.setenv("HERO_USER_RECORDING", str(tmp_path / "user.jsonl"))
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url.replace("//", "//me:ghost@"))
    monkeypatch.setenv("OPENAI_API_KEY", "ghost-key")
    env = by_name(seed=3)
    provenance = env.provenance()
    assert "ghost" not in json.dumps(provenance)
    assert provenance["user"] == {"model": "small", "url": endpoint.url[:-1]}
    assert provenance["arguments"] == {
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
    again = TauBenchEnv(user="model", **provenance["arguments"])  # type: ignore[arg-type]
    assert again.provenance() == provenance
    again.reset(seed=0)
    assert endpoint.keys == ["Basic " + base64.b64encode(b"me:ghost").decode()]
    for made in (env, again):
        made.close()
