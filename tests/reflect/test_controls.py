"""Controls keep the verdicts of a reflector in place, and exchange or drop its words."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.errors import ConfigError
from hero.policy import FunctionPolicy, Policy
from hero.reflect.base import Reflector, build_reflector, check_wrapped
from hero.reflect.controls import ShuffledReflector, VerdictReflector, deranged
from hero.reflect.rules import RulesReflector
from hero.testing import strategies
from hero.types import Diagnosis, Finding, Trajectory, Verdict
from tests.played import episode


class Written:
    """A reflector that returns what was written before."""

    def __init__(self, diagnoses: Sequence[Diagnosis]) -> None:
        self.diagnoses = diagnoses

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        return list(self.diagnoses)


@st.composite
def reviewed(draw: st.DrawFn) -> tuple[list[Trajectory], Written]:
    """Draws episodes, and a reflector of which each finding has another cause."""
    trajectories = draw(st.lists(strategies.trajectories(), max_size=4))
    diagnoses = []
    for number, trajectory in enumerate(trajectories):
        about = draw(st.sets(st.integers(0, len(trajectory.turns) - 1))) if trajectory.turns else set()
        verdicts = st.none() | st.sampled_from(Verdict)
        findings = (Finding(turn, draw(verdicts), f"{number}-{turn}", draw(strategies.texts)) for turn in sorted(about))
        diagnoses.append(Diagnosis("written", tuple(findings), draw(st.integers(0, 9))))
    return trajectories, Written(diagnoses)


def places(diagnoses: Sequence[Diagnosis]) -> list[Any]:
    """Returns everything about diagnoses but the words of their findings."""
    return [(each.tokens, [(finding.turn, finding.verdict) for finding in each.findings]) for each in diagnoses]


def words(diagnoses: Sequence[Diagnosis]) -> Counter[Any]:
    return Counter((each.verdict, each.cause, each.advice) for diagnosis in diagnoses for each in diagnosis.findings)


@given(reviewed(), st.integers(0, 3))
def test_words_go_to_other_turns_of_the_same_verdict(drawn: tuple[list[Trajectory], Written], seed: int) -> None:
    trajectories, written = drawn
    shuffled = ShuffledReflector(of=written, seed=seed).reflect(trajectories)
    assert places(shuffled) == places(written.diagnoses)
    assert words(shuffled) == words(written.diagnoses)
    assert all(diagnosis.author == "shuffled" for diagnosis in shuffled)
    verdicts = Counter(finding.verdict for diagnosis in shuffled for finding in diagnosis.findings)
    for number, diagnosis in enumerate(shuffled):
        for finding in diagnosis.findings:
            assert (finding.cause == f"{number}-{finding.turn}") == (verdicts[finding.verdict] == 1)
    assert ShuffledReflector(of=written, seed=seed).reflect(trajectories) == shuffled


def test_where_words_go_depends_on_the_seed_and_on_the_episodes() -> None:
    trajectories = [episode([("left", "wall"), ("right", "door")]) for _ in range(3)]
    others = [episode([("up", "wall"), ("right", "door")]), *trajectories[1:]]
    findings = [[Finding(turn, Verdict.FAILED, f"{number}-{turn}") for turn in range(2)] for number in range(3)]
    written = Written([Diagnosis("", tuple(each)) for each in findings])
    orders = {
        tuple(words(ShuffledReflector(of=written, seed=seed).reflect(played)))
        for seed in range(5)
        for played in (trajectories, others)
    }
    assert len(orders) > 8


def test_findings_that_say_nothing_are_left_out() -> None:
    trajectories = [episode([("left", "wall"), ("right", "door")])]
    written = Written([Diagnosis("", (Finding(0, None), Finding(1, None, "here")))])
    (shuffled,) = ShuffledReflector(of=written).reflect(trajectories)
    assert shuffled.findings == (Finding(1, None, "here"),)


@given(st.lists(st.integers(), unique=True, max_size=7), st.integers(0, 100))
def test_no_item_keeps_its_place_unless_it_is_alone(items: list[int], seed: int) -> None:
    order = deranged(items, random.Random(seed))
    assert sorted(order) == sorted(items)
    assert [before == after for before, after in zip(items, order, strict=True)] == [len(items) == 1] * len(items)


def test_every_cycle_is_drawn_as_often() -> None:
    rng = random.Random(0)
    drawn = Counter(tuple(deranged(range(4), rng)) for _ in range(6000))
    assert len(drawn) == 6
    assert all(850 < count < 1150 for count in drawn.values())


@given(reviewed())
def test_verdicts_stay_alone(drawn: tuple[list[Trajectory], Written]) -> None:
    trajectories, written = drawn
    bare = VerdictReflector(of=written).reflect(trajectories)
    assert [diagnosis.tokens for diagnosis in bare] == [diagnosis.tokens for diagnosis in written.diagnoses]
    for diagnosis, whole in zip(bare, written.diagnoses, strict=True):
        expected = {finding.turn: finding.verdict for finding in whole.findings if finding.verdict}
        assert {finding.turn: finding.text() for finding in diagnosis.findings} == expected


class Student:
    """A model that reviews every episode alike."""

    name, context_length = "student", 1000

    def __init__(self) -> None:
        self.asked: list[int] = []

    def policy(self, *, temperature: float, max_new_tokens: int) -> Policy:
        self.asked.append(max_new_tokens)
        return FunctionPolicy(lambda messages: "1 failed: a wall; instead: up\n2 failed: locked; instead: down")


@pytest.mark.parametrize("name", ["shuffled", "verdict"])
def test_controls_wrap_registered_reflectors_with_their_options(name: str) -> None:
    options = {"of": "self", "of_args": {"max_new_tokens": 7}}
    check_wrapped(name, options)
    student, trajectories = Student(), [episode([("left", "wall"), ("right", "door")])]
    (diagnosis,) = build_reflector(name, options, student).reflect(trajectories)
    assert student.asked == [7]
    expected = {"shuffled": ["failed: locked\ninstead: down", "failed: a wall\ninstead: up"], "verdict": ["failed"] * 2}
    assert [finding.text() for finding in diagnosis.findings] == expected[name]


def test_controls_wrap_controls() -> None:
    inner = {"of": "verdict", "of_args": {"of": "rules"}}
    trajectories = [episode([("left", "start"), ("left", "start"), ("right", "door")])]
    (diagnosis,) = build_reflector("shuffled", inner, None).reflect(trajectories)
    (by_rules,) = RulesReflector().reflect(trajectories)
    assert [finding.text() for finding in diagnosis.findings] == [finding.verdict for finding in by_rules.findings]
    assert isinstance(VerdictReflector(of="rules"), Reflector)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs the option 'of'; it takes:\n  of: str"),
        ({"of": "ruls"}, r"hero.reflectors has no 'ruls'; did you mean 'rules'"),
        ({"of": "rules", "of_args": {"depth": 3}}, r"rules \(hero.reflectors\) has no option 'depth'"),
        ({"of": 3}, r"of = 3 is not possible; give a value of type str"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_wrapped("shuffled", {"of": "verdict", "of_args": options})


def test_a_reflector_that_needs_a_model_says_so() -> None:
    with pytest.raises(ConfigError, match="the reflector self reads with the model in training; give it as student"):
        VerdictReflector(of="self")


def test_what_the_inner_reflector_gets_wrong_is_reported_by_its_name() -> None:
    with pytest.raises(ConfigError, match="the reflector Written must return a list of 1"):
        ShuffledReflector(of=Written([])).reflect([episode([("left", "wall")])])
