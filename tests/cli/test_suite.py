"""`hero eval --suite`: its table, its JSON, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hero.runs.writer import Run
from hero_cli.resolve import settings_of
from tests.cli.conftest import FAST, Hero, refused


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """Writes a suite of two kinds, one of them with a pattern."""
    path = tmp_path / "suite.jsonl"
    records = [
        {"kind": kind, "messages": [{"role": "user", "content": f"Guess {index}."}], "reply": "abab"} | more
        for index in range(3)
        for kind, more in (("guess", {}), ("shape", {"pattern": "(?s).*"}))
    ]
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return "suite.jsonl"


def test_a_model_is_measured_by_kind_with_intervals(hero: Hero, model: str, suite: str) -> None:
    result = hero("eval", model, "--suite", suite)
    assert result.exit_code == 0, result.output
    title, header, *rows = result.stdout.splitlines()
    assert title == f"{model} on suite.jsonl (95 % intervals)"
    assert re.split(r"  +", header.strip()) == [
        "kind",
        "items",
        "nats per token",
        "perplexity",
        "exact %",
        "well-formed %",
    ]
    number = r"\d+\.?\d*(?:e\+\d+)?"
    interval = rf"{number} \[{number}, {number}\]"
    for row, (kind, items, form) in zip(
        rows, [("guess", 3, "–"), ("shape", 3, interval), ("all", 6, interval)], strict=True
    ):
        assert re.fullmatch(rf"{kind} +{items} +{interval} +{interval} +{interval} +{form} *", row), row


def test_a_run_is_measured_at_its_start_and_at_its_checkpoint(
    hero: Hero, model: str, suite: str, tmp_path: Path
) -> None:
    command = ["run", "--model", model, "--steps", 2, "--out", "run", "--learning-rate", 0.3]
    assert hero(*command, *FAST).exit_code == 0
    best, newest = (hero("eval", "run", "--suite", suite, *which) for which in ([], ["--checkpoint", "newest"]))
    assert best.stdout.startswith("run (best checkpoint, step 0) on suite.jsonl")
    assert "Nothing forgotten that this suite can show" in best.stdout
    assert newest.stdout.startswith("run (newest checkpoint, step 2) on suite.jsonl")
    rows = [re.split(r"  +", row.strip()) for row in newest.stdout.splitlines()[2:]]
    assert [row[:-4] for row in rows[:3]] == [["guess", "3", "start"], ["checkpoint"], ["difference"]]
    assert "Worse than at the start, with the whole interval: guess (nats per token); shape" in newest.stdout

    record, alone = (
        json.loads(hero("eval", policy, "--suite", suite, "--json", *which).stdout)
        for policy, which in (("run", ["--checkpoint", "newest"]), (model, []))
    )
    assert (record["suite"], record["model"], record["step"]) == ("suite.jsonl", "run", 2)
    assert list(record["measures"]) == ["start", "checkpoint", "difference"]
    assert list(alone["measures"]) == ["model"]
    assert "step" not in alone
    assert record["measures"]["start"] == alone["measures"]["model"]
    assert record["scores"]["start"] == alone["scores"]["model"]
    start, checkpoint, difference = (record["measures"][name]["all"]["nats"] for name in record["measures"])
    assert difference["value"] == pytest.approx(checkpoint["value"] - start["value"])
    assert 0 < difference["low"] < difference["value"] < difference["high"]

    half, of_model, of_best = (
        json.loads(hero("eval", policy, "--suite", suite, "--json", "--dtype", "bfloat16", *which).stdout)["scores"]
        for policy, which in (("run", ["--checkpoint", "newest"]), (model, []), ("run", []))
    )
    assert half["start"] == of_model["model"] == of_best["start"] == of_best["checkpoint"]
    for name in ("start", "checkpoint"):
        assert half[name] != record["scores"][name]


def test_plain_text_has_no_replies(hero: Hero, model: str, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("Once upon a time.", encoding="utf-8")
    result = hero("eval", model, "--suite", "book.txt")
    assert re.fullmatch(r"text +1 +\d+\.\d+ +\d.* +– +– *", result.stdout.splitlines()[2])


def test_mistakes_are_reported(hero: Hero, model: str, suite: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.jsonl").write_text('{"messages": 1, "reply": "a"}', encoding="utf-8")
    (tmp_path / "long.jsonl").write_text(
        json.dumps({"messages": [{"role": "user", "content": "x" * 2000}], "reply": "a"}), encoding="utf-8"
    )
    for arguments, message in (
        ([model, "--suite", suite, "--split", "validation"], "--split does nothing with --suite"),
        ([model, "--suite", suite, "--greedy"], "--greedy does nothing with --suite"),
        ([model, "--suite", suite, "--env-arg", "a=1"], "--env-arg does nothing with --suite"),
        ([model, "--suite", suite, "--max-turns", 3], "--max-turns does nothing with --suite"),
        ([model, "--suite", suite, "--kv-cache-gib", 3], "--kv-cache-gib does nothing with --suite"),
        ([model, "--suite", suite, "--checkpoint", "best"], "--checkpoint best does nothing with"),
        ([model, "--suite", "none.jsonl"], "none.jsonl: No such file"),
        ([model, "--suite", "suite.csv"], "neither .jsonl"),
        ([model, "--suite", "wrong.jsonl"], "wrong.jsonl, line 1: messages must be a list that is not empty, not 1"),
        ([model, "--suite", "long.jsonl"], "long.jsonl, line 1: the conversation and its reply have"),
        (["tinny", "--suite", suite], "there is no model 'tinny'; did you mean 'tiny'?"),
    ):
        refused(hero("eval", *arguments), message)


def test_a_run_without_a_complete_step_is_refused(hero: Hero, model: str, suite: str, tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", settings_of({"env": "guess", "model": model}).record()):
        pass
    refused(hero("eval", "run", "--suite", suite), "run has no complete step yet")
