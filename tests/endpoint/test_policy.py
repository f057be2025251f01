"""A model behind an endpoint acts and reviews: several requests at a time, in order, recorded; mistakes are named."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.endpoint.chat import ChatModel
from hero.endpoint.options import Owner
from hero.endpoint.policy import EndpointModel, EndpointPolicy, EndpointReflector
from hero.errors import ConfigError
from hero.policy import Policy
from hero.reflect.base import Reflector
from hero.types import Action, Finding, Message, Verdict
from tests.distill.trajectories import episode
from tests.endpoint.server import Endpoint, Handler, completion

OWNER = Owner("the test", "arguments", "HERO_TEST")
PROMPTS = [[Message("system", "You shop."), Message("user", f"page {number}")] for number in range(6)]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "HERO_REFLECTOR_MODEL", "HERO_POLICY_RECORDING"):
        monkeypatch.delenv(name, raising=False)


def policy(endpoint: Endpoint, **options: Any) -> EndpointPolicy:
    model = ChatModel(owner=OWNER, model="m", url=endpoint.url, wait=0.001, **options)
    return EndpointPolicy(model, concurrency=3)


def test_each_prompt_is_answered_in_its_place_with_its_seed(endpoint: Endpoint) -> None:
    asking: Policy = policy(endpoint, temperature=0.7)
    actions = asking.act(PROMPTS, seeds=[2**40 + number for number in range(6)])
    assert actions == [Action("answer 2")] * 6
    sent = {request["messages"][-1]["content"]: request for request in endpoint.requests}
    assert [sent[f"page {number}"]["seed"] for number in range(6)] == list(range(6))  # modulo 2**31
    assert {request["temperature"] for request in endpoint.requests} == {0.7}
    assert sent["page 0"]["messages"][0] == {"role": "system", "content": "You shop."}
    assert asking.act([]) == []


def test_requests_go_out_at_the_same_time(endpoint: Endpoint) -> None:
    together = threading.Barrier(3, timeout=5)

    def wait(handler: Handler) -> None:
        together.wait()
        handler.answer(completion("x"))

    endpoint.content = wait
    assert policy(endpoint).act(PROMPTS) == [Action("x")] * 6


def test_usage_is_summed_over_threads(endpoint: Endpoint) -> None:
    asking = policy(endpoint, prices=(1.0, 2.0))
    asking.act(PROMPTS)
    usage = asking.model.usage
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (6, 600, 60)
    assert usage.dollars == pytest.approx((600 + 2 * 60) / 1e6)


def test_a_recording_answers_without_the_endpoint(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    first = policy(endpoint, recording=file).act(PROMPTS)
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 6
    asked = len(endpoint.requests)
    offline = policy(endpoint, recording=file, offline=True)
    assert offline.act(PROMPTS) == first
    assert len(endpoint.requests) == asked
    with pytest.raises(ConfigError, match="nothing was recorded for this conversation in task act"):
        offline.act([[Message("user", "new")]])


def test_a_refusal_names_the_remedy(endpoint: Endpoint) -> None:
    endpoint.content = lambda handler: handler.answer(b'{"error": "no temperature here"}', 400)
    with pytest.raises(ConfigError, match="leave temperature out with temperature=null in arguments"):
        policy(endpoint).act(PROMPTS)


def test_reviews_are_read_as_those_of_any_model(endpoint: Endpoint) -> None:
    endpoint.content = completion("1 failed: too far; instead: left\n2 useful\n")
    reflector: Reflector = EndpointReflector(model="big", url=endpoint.url)
    trajectory = episode(0.0, "right", "stop", success=False)
    (diagnosis,) = reflector.reflect([trajectory])
    assert diagnosis.author == "openai:big"
    assert diagnosis.findings == (Finding(0, Verdict.FAILED, "too far", "left"), Finding(1, Verdict.USEFUL))
    assert endpoint.requests[0]["model"] == "big"
    assert "Review each turn" in endpoint.requests[0]["messages"][-1]["content"]


def test_environment_variables_stand_in_for_arguments(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="the reflector openai needs HERO_REFLECTOR_MODEL, or a model in --reflector"):
        EndpointReflector()
    monkeypatch.setenv("HERO_REFLECTOR_MODEL", "named")
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    EndpointReflector().reflect([episode(0.0, "right")])
    assert (endpoint.requests[0]["model"], endpoint.keys[0]) == ("named", "Bearer secret")
    EndpointModel("other").policy(temperature=0.0, max_new_tokens=7).act(PROMPTS[:1])
    assert {name: endpoint.requests[1][name] for name in ("model", "max_tokens", "temperature")} == {
        "model": "other", "max_tokens": 7, "temperature": 0.0,
    }  # fmt: skip


def test_wrong_arguments_of_the_reflector(endpoint: Endpoint) -> None:
    for arguments, message in (
        ({"concurrency": 0}, "concurrency = 0 is not possible"),
        ({"url": "ftp://x"}, "the URL of the model"),
        ({"attempts": 0}, "attempts=0 must be an integer from 1"),
        ({"url": "http://me:ghost@localhost"}, "the url of --reflector-arg holds a name or password"),
        ({"offline": True}, "the reflector openai is offline, which needs a recording"),
    ):
        with pytest.raises(ConfigError, match=message):
            EndpointReflector(**{"model": "m", "url": endpoint.url} | arguments)  # type: ignore[arg-type]
