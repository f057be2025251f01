"""The hindsight teacher adds to the last message of a prompt, and is silent where the diagnosis is."""

from hero.distill.teacher import HindsightTeacher
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
