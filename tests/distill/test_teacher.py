"""Teachers add to the last message of a prompt, and are silent where they have nothing to show."""

from dataclasses import replace
from itertools import product

import pytest

from hero.distill.teacher import DemonstrationTeacher, FeedbackTeacher, HindsightTeacher
from hero.types import Action, Diagnosis, Finding, Message, Stop, Trajectory, Turn, Verdict

PROMPT = (
    Message("system", "rules"),
    Message("user", "page 0"),
    Message("assistant", "a", (5, 2)),
    Message("user", "page 1"),
)
TURNS = (
    Turn(PROMPT[:2], Action("a"), "page 1", 0.0),
    Turn(PROMPT, Action("b"), "page 2", 0.25),
)
EPISODE = Trajectory("shop", "task", 0, TURNS, Stop.TERMINATED)
DIAGNOSIS = Diagnosis("judge", (Finding(1, Verdict.FAILED, "over budget", "click[x]"),))


def test_adds_hindsight_to_the_last_message_and_changes_nothing_before_it() -> None:
    context = HindsightTeacher().context(EPISODE, 1, DIAGNOSIS)
    assert context is not None
    assert context[:-1] == PROMPT[:-1]
    assert context[-1].role == "user"
    assert context[-1].content.startswith("page 1\n\n")
    added = context[-1].content.removeprefix("page 1")
    assert all(part in added for part in ("page 2", "failed: over budget", "instead: click[x]", "0.25"))


def test_is_silent_where_the_diagnosis_is() -> None:
    assert HindsightTeacher().context(EPISODE, 0, DIAGNOSIS) is None


def test_shows_an_observation_that_is_the_diagnosis_only_once() -> None:
    context = HindsightTeacher().context(EPISODE, 1, Diagnosis("feedback", (Finding(1, None, "page 2"),)))
    assert context is not None
    assert context[-1].content.count("page 2") == 1


def test_shows_earlier_thoughts_or_not() -> None:
    thoughtful = Message("assistant", "<think>hm</think>a", (5, 2))
    prompt = (*PROMPT[:2], thoughtful, PROMPT[3])
    episode = Trajectory("shop", "task", 0, (TURNS[0], Turn(prompt, Action("b"), "page 2", 0.25)), Stop.TERMINATED)
    shown = HindsightTeacher().context(episode, 1, DIAGNOSIS)
    hidden = HindsightTeacher(show_thoughts=False).context(episode, 1, DIAGNOSIS)
    assert shown is not None
    assert hidden is not None
    assert shown[2] == thoughtful
    assert hidden[2] == Message("assistant", "a")
    assert (hidden[:2], hidden[3]) == (shown[:2], shown[3])
    assert HindsightTeacher(show_thoughts=False).context(EPISODE, 1, DIAGNOSIS) == HindsightTeacher().context(
        EPISODE, 1, DIAGNOSIS
    )


@pytest.mark.parametrize("switches", list(product([True, False], repeat=4)))
def test_each_part_of_the_hindsight_is_shown_or_not(switches: tuple[bool, bool, bool, bool]) -> None:
    observation, diagnosis, advice, reward = switches
    teacher = HindsightTeacher(observation=observation, diagnosis=diagnosis, advice=advice, reward=reward)
    context = teacher.context(EPISODE, 1, DIAGNOSIS)
    if not (observation or diagnosis or advice):
        assert context is None
        return
    assert context is not None
    added = context[-1].content.removeprefix("page 1")
    parts = ("Next: page 2", "failed: over budget", "instead: click[x]", "Final reward: 0.25")
    assert tuple(part in added for part in parts) == switches
    assert added.count("Review: ") == (diagnosis or advice)
    assert added.endswith("\nNow act with this in mind.")


def test_turns_without_a_finding_have_hindsight_where_no_finding_is_shown() -> None:
    assert HindsightTeacher(diagnosis=False).context(EPISODE, 0, DIAGNOSIS) is None
    assert HindsightTeacher(advice=False).context(EPISODE, 0, DIAGNOSIS) is None
    context = HindsightTeacher(diagnosis=False, advice=False).context(EPISODE, 0, DIAGNOSIS)
    assert context is not None
    assert "Next: page 1\nFinal reward" in context[-1].content
    only_advice = Diagnosis("judge", (Finding(0, Verdict.USEFUL, "good"),))
    assert HindsightTeacher(diagnosis=False).context(EPISODE, 0, only_advice) is None


def test_feedback_is_shown_with_the_next_observation_and_nothing_else_is() -> None:
    turns = (TURNS[0], replace(TURNS[1], feedback="no such button"))
    context = FeedbackTeacher().context(replace(EPISODE, turns=turns), 1, DIAGNOSIS)
    assert context is not None
    assert context[:-1] == PROMPT[:-1]
    assert context[-1].content == (
        "page 1\n\nHindsight on the action taken here.\nNext: page 2\nReview: no such button\n"
        "Now act with this in mind."
    )
    silent = replace(EPISODE, turns=(replace(TURNS[0], observation=""),))
    assert FeedbackTeacher().context(silent, 0, DIAGNOSIS) is None


def test_a_demonstration_is_the_first_success_among_the_siblings_and_whole() -> None:
    def attempt(action: str, success: bool) -> Trajectory:
        ended = replace(TURNS[1], action=Action(action), observation="bought", info={"success": success})
        return replace(EPISODE, turns=(replace(TURNS[0], action=Action("<think>hm</think>look")), ended))

    siblings = [attempt("buy a", False), attempt("buy b", True), attempt("buy c", True)]
    context = DemonstrationTeacher().context(EPISODE, 0, DIAGNOSIS, siblings)
    assert context is not None
    assert context == (
        PROMPT[0],
        Message(
            "user",
            "page 0\n\nA successful attempt at this task.\nAction: look\nNext: page 1\nAction: buy b\nNext: bought\n"
            "Now act with this in mind.",
        ),
    )
    assert DemonstrationTeacher().context(attempt("buy d", True), 0, DIAGNOSIS, siblings[:1]) is None
