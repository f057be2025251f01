"""The suite for the tiny policies: right replies of scripted players in worlds that nothing else uses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.tiny.desk_probe import WORLD as PROBED
from benchmarks.tiny.episodes import FIRST_SEED
from benchmarks.tiny.suite import WORLD, main, suite
from hero.models import tiny
from hero.reflect.model import parse_review
from hero.suite.items import read_suite
from hero.suite.score import score_suite


@pytest.mark.parametrize("env", ["webshop", "taubench"])
def test_a_suite_holds_right_replies_that_the_shipped_policy_knows(env: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    main(path, env, 3, 0)  # type: ignore[arg-type]
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == suite(env, 3, 0)
    assert suite(env, 3, 1) != suite(env, 3, 0)
    items = read_suite(path)
    assert Counter(item.kind for item in items) == {"action": 3, "review": 3, "hindsight": 3, "copy": 3}
    for item in items:
        last = item.messages[-1].content
        if item.kind == "review":
            turns = sum(message.role == "assistant" for message in item.messages)
            assert [finding.turn for finding in parse_review(item.reply, turns)] == list(range(turns))
        if item.kind == "hindsight":
            assert f"instead: {item.reply}\n" in last
        if item.kind == "copy":
            assert len(item.messages) == 1
    lm = tiny.load(tiny.MODELS / env)
    scores = score_suite(lm, [item for item in items if item.kind == "hindsight"])
    assert sum(score.nats for score in scores) / sum(score.tokens for score in scores) < 0.5


def test_its_world_is_its_own() -> None:
    assert 0 < FIRST_SEED + WORLD < FIRST_SEED
    assert WORLD != PROBED
