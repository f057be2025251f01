"""`hero run --serve`: a server plays with the weights that were trained here, and what goes wrong there is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("peft", reason="needs the extra lora")
pytest.importorskip("httpx", reason="needs the extra users")
pytest.importorskip("tenacity", reason="needs the extra users")

from hero.endpoint import client
from hero.models import tiny
from hero.runs.reader import read_episodes, read_rows
from tests.cli.conftest import FAST, Hero, refused
from tests.models.server import Server, serving

OPTIONS = ["--lora", 4, "--learning-rate", 0.02, *FAST]


@pytest.fixture
def server(model: str) -> Iterator[Server]:
    with serving(tiny.load(model).model) as server:
        yield server


def test_a_served_run_samples_from_the_weights_that_it_trains(
    server: Server, hero: Hero, model: str, tmp_path: Path
) -> None:
    result = hero("run", "--model", model, "--steps", 3, "--out", "run", "--serve", server.url, *OPTIONS)
    assert result.exit_code == 0, result.output
    rows = read_rows(tmp_path / "run", "steps")
    assert [row["update"]["mismatch"] < 1e-5 for row in rows] == [True] * 3
    assert max(row["update"]["grad_norm"] for row in rows) > 0
    assert [name.rpartition("-")[2] for name in server.loaded] == ["0", "1", "2", "3"]
    assert list(server.adapters) == server.loaded[-1:]
    versions = {
        (episode.step, turn.action.tokens.policy_version)
        for episode in read_episodes(tmp_path / "run")
        for turn in episode.trajectory.turns
        if turn.action.tokens
    }
    assert versions == {(1, 0), (2, 1), (3, 2)}


def test_the_policy_reviews_itself_on_the_server(server: Server, hero: Hero, model: str, tmp_path: Path) -> None:
    options = [item for item in OPTIONS if item not in ("--reflector", "rules")]
    own = ["--reflector", "self", "--reflector-arg", "max_new_tokens=6"]
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", "--serve", server.url, *own, *options)
    assert result.exit_code == 0, result.output
    assert read_rows(tmp_path / "run", "steps")[0]["reflection"]["tokens"] > 0


def test_a_server_that_dies_leaves_a_run_that_goes_on(
    server: Server, hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    run = ["run", "--model", model, "--steps", 2, "--out", "run", "--serve", server.url, *OPTIONS]
    server.down_after = 40
    result = hero(*run)
    assert result.exit_code == 2, result.output
    errors = " ".join(result.stderr.split())
    assert "does not answer: status 503" in errors
    assert "go on with: hero run --resume --out run" in errors
    assert "Traceback" not in result.output
    server.down_after = None
    client._availability.cache_clear()  # as in a new process
    resumed = hero("run", "--resume", "--out", "run")
    assert resumed.exit_code == 0, resumed.output
    assert [row["update"]["mismatch"] < 1e-5 for row in read_rows(tmp_path / "run", "steps")] == [True] * 2


@pytest.mark.parametrize("fault", ["raw", "deaf"])
def test_other_weights_or_another_temperature_are_noticed(fault: str, server: Server, hero: Hero, model: str) -> None:
    server.processed, server.deaf = fault != "raw", fault == "deaf"
    result = hero("run", "--model", model, "--steps", 2, "--out", "run", "--serve", server.url, *OPTIONS)
    refused(result, "nats a token from those of the weights here", "--logprobs-mode processed_logprobs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serve", "http://localhost:1/v1"], "--serve http://localhost:1/v1 does nothing without --lora N"),
        (["--serve", "localhost", "--lora", 4], "the URL of the model"),
    ],
)
def test_mistakes_are_named(arguments: list[object], message: str, hero: Hero, model: str) -> None:
    refused(hero("run", "--model", model, "--steps", 1, "--out", "run", *arguments, *FAST), message)


@pytest.mark.slow
def test_a_real_server_samples_from_the_weights_that_are_trained(hero: Hero, tmp_path: Path) -> None:
    if not (url := os.environ.get("HERO_VLLM_URL")):
        pytest.skip("needs HERO_VLLM_URL, a vLLM server of `hero export tiny BASE`: docs/real-models.md")
    options = ["--lora", 8, "--episodes", 4, "--eval-tasks", 4, "--eval-every", 9, "--threads", 1]
    result = hero("run", "--steps", 2, "--serve", url, "--out", "run", *options)
    assert result.exit_code == 0, result.output
    assert all(row["update"]["mismatch"] < 1e-4 for row in read_rows(tmp_path / "run", "steps"))
