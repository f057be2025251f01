"""The benchmark of micro-batches counts padding."""

from __future__ import annotations

import pytest

from benchmarks import batches
from benchmarks.batches import compared, examples_of, padding
from benchmarks.tiny.episodes import shop
from hero.distill.pack import Row, Span
from hero.models import tiny
from hero.reflect.rules import RulesReflector
from hero.rollout import Task, rollout
from hero.runs.reader import Episode
from tests.benchmarks.clock import Clock


def test_padding_is_the_part_of_what_is_read_that_belongs_to_no_row() -> None:
    one, other = Row((1,) * 10, (Span(8, 10, (0,)),), 0, 6), Row((1,) * 8, (Span(6, 8, (1,)),), 0, 0)
    assert padding([[one, other]]) == pytest.approx(1 - (4 + 8) / 16)
    assert padding([[one], [other]]) == 0


def test_episodes_of_a_run_have_less_padding_by_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "TOKENS", 3000)  # so that even a few short episodes take several batches
    monkeypatch.setattr("benchmarks.episodes.time", Clock(tick=0.5))
    lm = tiny.load()
    policy = lm.policy(temperature=0.5, seed=0)
    played = rollout([shop(0, "medium") for _ in range(8)], policy, [Task(index, 0) for index in range(8)], max_turns=8)
    diagnoses = RulesReflector().reflect(played)
    episodes = [Episode(1, *pair) for pair in zip(played, diagnoses, strict=True)]
    figures = compared(lm.model, lm.chat, examples_of(episodes), repeats=1)
    assert 0 <= figures["as they are"] < figures["by whole length"] < 1
    assert 0 <= figures["student"] < 1
    assert figures["time"] == 1
