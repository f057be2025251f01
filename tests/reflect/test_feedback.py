"""The feedback reflector passes on the words of the environment, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hero.reflect.base import Reflector
from hero.reflect.feedback import FeedbackReflector
from hero.testing.strategies import trajectories
from hero.types import Action, Finding, Stop, Trajectory, Turn


@settings(max_examples=40)
@given(st.lists(trajectories(), max_size=2))
def test_each_turn_is_described_by_its_own_words(played: list[Trajectory]) -> None:
    diagnoses = FeedbackReflector().reflect(played)
    assert len(diagnoses) == len(played)
    for trajectory, diagnosis in zip(played, diagnoses, strict=True):
        for index, turn in enumerate(trajectory.turns):
            assert diagnosis.about(index) == (turn.feedback if turn.feedback else turn.observation)
        assert {finding.turn for finding in diagnosis.findings} <= set(range(len(trajectory.turns)))


@settings(max_examples=40)
@given(trajectories())
def test_findings_have_no_verdict_and_no_advice(trajectory: Trajectory) -> None:
    for finding in FeedbackReflector().reflect([trajectory])[0].findings:
        assert (finding.verdict, finding.advice) == (None, "")
        assert finding.cause


def test_feedback_goes_before_the_observation_and_silence_gives_no_finding() -> None:
    turns = (
        Turn((), Action("a"), "a page", 0.0, feedback="no such button"),
        Turn((), Action("b"), "", 0.0),
        Turn((), Action("c"), "another page", 0.0),
    )
    diagnosis = FeedbackReflector().reflect([Trajectory("env", "0", 0, turns, Stop.MAX_TURNS)])[0]
    assert diagnosis.author == "feedback"
    assert diagnosis.findings == (Finding(0, None, "no such button"), Finding(2, None, "another page"))


def test_it_is_a_reflector() -> None:
    assert isinstance(FeedbackReflector(), Reflector)
