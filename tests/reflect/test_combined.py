"""Several reflectors as one: the first that has something to say about a turn counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.policy import FunctionPolicy
from hero.reflect.base import build_reflector
from hero.reflect.combined import FirstOf
from hero.reflect.model import ModelReflector
from hero.reflect.rules import RulesReflector
from hero.testing import strategies
from hero.types import Diagnosis
from tests.played import episode
from tests.reflect.test_controls import Written


@given(st.lists(strategies.diagnoses(num_turns=5), min_size=2, max_size=4))
def test_each_turn_has_the_finding_of_the_first_that_speaks(written: list[Diagnosis]) -> None:
    played = episode([(word, word) for word in "abcde"])
    (diagnosis,) = FirstOf(of=[Written([each]) for each in written]).reflect([played])
    spoken = [{finding.turn: finding for finding in each.findings if finding.text()} for each in written]
    for turn in range(5):
        expected = next((each[turn] for each in spoken if turn in each), None)
        assert {finding.turn: finding for finding in diagnosis.findings}.get(turn) == expected
    assert diagnosis.tokens == sum(each.tokens for each in written)
    others = [[each for each in written if each is not own and each.findings] for own in written]
    problems = [own.problem for own, spoken in zip(written, others, strict=True) if own.problem and not spoken]
    assert diagnosis.problem == next(iter(problems), "")


def test_rules_come_before_a_model_that_judges_the_rest() -> None:
    model = ModelReflector(FunctionPolicy(lambda messages: "1 useful\n2 useful"))
    (diagnosis,) = FirstOf(of=[RulesReflector(), model]).reflect([episode([("a", "1"), ("b", "2")])])
    assert [finding.turn for finding in diagnosis.findings] == [0, 1]
    assert diagnosis.findings[0].cause == ""  # the model's
    assert diagnosis.findings[1].cause  # the rules'


def test_reflectors_are_built_by_name() -> None:
    inner: Any = build_reflector("first", {"of": ["rules", "feedback"]}, None)
    assert [each.name for each in inner.inner] == ["rules", "feedback"]
    with pytest.raises(ConfigError, match="reads with the model in training"):
        build_reflector("first", {"of": ["rules", "self"]}, None)
    for wrong in (["rules"], [], "rules"):
        with pytest.raises(ConfigError, match=r"is not a list of two or more|is not possible"):
            build_reflector("first", {"of": wrong}, None)
