"""A model behind an endpoint on the command line: as the reflector of a run, and as the policy that is evaluated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("httpx", reason="needs the extra `users`")
pytest.importorskip("tenacity", reason="needs the extra `users`")

from hero.runs.reader import read_rows, read_settings
from tests.cli.conftest import FAST, Hero, refused
from tests.endpoint.conftest import endpoint
from tests.endpoint.server import Endpoint, completion

__all__ = ["endpoint"]
RUN = [item for item in FAST if item not in ("--reflector", "rules")]


@pytest.fixture(autouse=True)
def address(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)


def test_an_external_reflector_reviews_a_run_and_what_it_said_is_kept(
    endpoint: Endpoint, hero: Hero, model: str, tmp_path: Path
) -> None:
    endpoint.content = completion("1 failed: wrong; instead: 3\n")
    recording = ["--reflector-arg", "recording=reviews.jsonl"]
    run = ["run", "--model", model, "--steps", 1, *RUN, "--reflector", "openai:big", *recording]
    result = hero(*run, "--out", "first")
    assert result.exit_code == 0, result.output
    assert {request["model"] for request in endpoint.requests} == {"big"}
    assert read_settings(tmp_path / "first")["reflector_args"] == {"model": "big", "recording": "reviews.jsonl"}
    (row,) = read_rows(tmp_path / "first", "steps")
    assert row["reflection"]["episodes_with_finding"] == 1
    assert re.search(r"\nendpoint       4 requests, \d+ tokens read and \d+ written\n", result.stdout)
    asked = len(endpoint.requests)
    assert hero(*run, "--reflector-arg", "offline=true", "--out", "second").exit_code == 0
    assert len(endpoint.requests) == asked == 4
    assert read_rows(tmp_path / "second", "steps") == read_rows(tmp_path / "first", "steps")


def test_reviews_that_cannot_be_read_are_shown(endpoint: Endpoint, hero: Hero, model: str) -> None:
    endpoint.content = completion("Well done!")
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *RUN, "--reflector", "openai:big")
    assert result.exit_code == 0, result.output
    assert "the reflector found nothing to say about any of 4 episodes" in " ".join(result.output.split())


def test_a_model_behind_an_endpoint_is_evaluated(endpoint: Endpoint, hero: Hero) -> None:
    endpoint.content = completion("3")
    result = hero("eval", "openai:big", "--env", "guess", "--tasks", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("openai:big in guess, validation")
    assert re.search(r"endpoint       \d+ requests, ", result.stderr)
    assert {request["model"] for request in endpoint.requests} == {"big"}


def test_a_model_behind_an_endpoint_is_watched(endpoint: Endpoint, hero: Hero) -> None:
    endpoint.content = completion("3")
    result = hero("play", "--policy", "openai:big", "--env", "guess", "--task", 2)
    assert result.exit_code == 0, result.output
    assert "openai:big> 3\n" in result.stdout
    assert {request["model"] for request in endpoint.requests} == {"big"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--model", "openai:big", "--out", "run", *FAST], "--model openai:big has no weights to train here"),
        (["check", "--model", "openai:big", "--env", "guess"], "--model openai:big has no weights to train here"),
        (["run", "--reflector", "openai", "--out", "run", *RUN], "the reflector openai needs HERO_REFLECTOR_MODEL"),
        (
            ["run", "--reflector", "opnai:big", "--out", "run", *RUN],
            "(ModuleNotFoundError); did you mean openai:big?",
        ),
        (["eval", "openai:big", "--env", "guess", "--chat-arg", "x=1"], "--chat-arg does nothing with openai:big"),
        (
            ["run", "--reflector", "openai:big", "--reflector-arg", "modell=x", "--out", "run", *RUN],
            "no option 'modell'",
        ),
        (["export", "openai:big", "out"], "openai:big has no weights"),
    ],
)
def test_mistakes_are_named(arguments: list[object], message: str, hero: Hero, model: str) -> None:
    more = ["--model", model] if arguments[0] == "run" and "--model" not in arguments else []
    refused(hero(*arguments, *more), message)
