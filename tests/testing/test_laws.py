"""Our components keep the laws, and a fault that is planted against each law is caught by it."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from hero import registry
from hero.distill.base import Example
from hero.distill.learners import Distillation
from hero.distill.teacher import DemonstrationTeacher, FeedbackTeacher, HindsightTeacher
from hero.errors import PolicyError
from hero.policy import FunctionPolicy
from hero.reflect.combined import FirstOf
from hero.reflect.controls import ShuffledReflector, VerdictReflector
from hero.reflect.feedback import FeedbackReflector
from hero.reflect.model import ModelReflector
from hero.reflect.rules import RulesReflector
from hero.testing import laws, strategies
from hero.testing.laws import check_chat, check_learner, check_policy, check_reflector, check_teacher
from hero.types import Action, Diagnosis, Finding, Message, Tokens, Trajectory
from tests.tiny_models import random_model


@pytest.fixture
def unshrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports the first case that fails, since making it smaller takes long."""
    monkeypatch.setattr(laws, "PHASES", (Phase.generate,))


REVIEW = "1 useful\n2 failed: no; instead: x"
REFLECTORS = [
    RulesReflector(),
    FeedbackReflector(),
    ModelReflector(FunctionPolicy(lambda messages: REVIEW)),
    VerdictReflector(of="rules"),
    ShuffledReflector(of=FeedbackReflector()),
    FirstOf(of=["rules", "feedback"]),
]


@pytest.mark.parametrize("reflector", REFLECTORS, ids=lambda reflector: type(reflector).__name__)
def test_our_reflectors_keep_the_laws(reflector: Any) -> None:
    played = strategies.trajectories()
    if isinstance(reflector, ModelReflector):  # which shows the prompt, so that there has to be one
        played = played.filter(lambda each: all(turn.prompt for turn in each.turns))
    check_reflector(reflector, played)


@pytest.mark.parametrize("teacher", [HindsightTeacher(), FeedbackTeacher(), DemonstrationTeacher()])
def test_our_teachers_keep_the_laws(teacher: Any) -> None:
    check_teacher(teacher)


@pytest.mark.parametrize("name", registry.names("hero.learners"))
def test_our_learners_keep_the_laws(name: str) -> None:
    check_learner(registry.build("hero.learners", name))


def test_our_policies_keep_the_laws() -> None:
    check_policy(FunctionPolicy(lambda messages: messages[-1].content))
    lm = random_model(context=256)
    policy = lm.policy(temperature=1.0, max_new_tokens=6)
    check_policy(policy, st.lists(strategies.words, min_size=1, max_size=3).map(talk), cases=8)


def talk(said: list[str]) -> tuple[Message, ...]:
    return tuple(Message("user", word) for word in said)


def test_our_chat_keeps_the_laws() -> None:
    check_chat(random_model().chat, strategies.texts)


class Faulty:
    """Answers with whatever a planted fault makes of the right answer."""

    name = "faulty"

    def __init__(self, fault: Callable[..., Any]) -> None:
        self.fault = fault
        self.calls = itertools.count()

    def reflect(self, trajectories: Sequence[Trajectory]) -> Any:
        return [self.fault(next(self.calls), each, FeedbackReflector().reflect([each])[0]) for each in trajectories]

    def context(self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Any = ()) -> Any:
        return self.fault(next(self.calls), trajectory.turns[turn].prompt)

    def examples(self, group: Any, diagnoses: Any) -> Any:
        return self.fault(next(self.calls), group, Distillation().examples(group, diagnoses))


def scribble(_: int, trajectory: Trajectory, diagnosis: Diagnosis) -> Diagnosis:
    for turn in trajectory.turns:
        turn.info["seen"] = True  # type: ignore[index]
    return diagnosis


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda _, trajectory, diagnosis: None, "must return a list of"),
        (lambda _, trajectory, diagnosis: replace(diagnosis, findings=(Finding(9, None),)), "judges turn 9"),
        (lambda _, trajectory, diagnosis: replace(diagnosis, author=""), "has no author"),
        (lambda _, trajectory, diagnosis: replace(diagnosis, tokens=-5), "fewer than 0 tokens"),
        (
            lambda call, trajectory, diagnosis: replace(diagnosis, tokens=call),
            "other diagnoses when read again",
        ),
        (scribble, "changed an episode"),
    ],
)
def test_a_faulty_reflector_is_caught(fault: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_reflector(Faulty(fault))


@given(strategies.diagnosed_groups())
def test_earlier_episodes_are_solved(drawn: Any) -> None:
    group, _ = drawn
    assert all(each.success for each in group.earlier)


@pytest.mark.parametrize(
    "kind",
    [
        lambda group, diagnosis: diagnosis.findings and not diagnosis.problem,
        lambda group, diagnosis: diagnosis.findings and diagnosis.problem,
        lambda group, diagnosis: diagnosis.problem and not diagnosis.findings,
        lambda group, diagnosis: not diagnosis.findings and not diagnosis.problem,
        lambda group, diagnosis: diagnosis.findings and group.earlier,
    ],
)
def test_all_kinds_of_reviewed_groups_are_drawn(kind: Any) -> None:
    at_once = settings(phases=(Phase.generate,), deadline=None, max_examples=1000)
    find(strategies.diagnosed_groups(), lambda drawn: any(kind(drawn[0], each) for each in drawn[1]), settings=at_once)


@pytest.mark.usefixtures("unshrunk")
def test_a_teacher_is_given_earlier_successes() -> None:
    def wrong(trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()) -> Any:
        return "text" if len(siblings) > 2 else None  # more than the other members of any group that is drawn

    with pytest.raises(AssertionError, match="context must return None, or a tuple"):
        check_teacher(SimpleNamespace(context=wrong), cases=1000)  # the first that is large enough ends it


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda _, prompt: list(prompt), "context must return None, or a tuple"),
        (lambda _, prompt: (Message("user", 5),), "context must return None, or a tuple"),
        (lambda _, prompt: (), "context must return None, or a tuple"),
        (lambda _, prompt: (*prompt, Message("assistant", "x")), "whose last one is the user's"),
        (
            lambda call, prompt: (*prompt[:-1], Message("user", str(call))),
            "another prompt when it is asked",
        ),
    ],
)
def test_a_faulty_teacher_is_caught(fault: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_teacher(Faulty(fault))


def forged(_: int, group: Any, examples: list[Example]) -> list[Example]:
    return [replace(each, tokens=Tokens((1,), (2,), (-1.0,), 100)) for each in examples]


def failed_too(_: int, group: Any, examples: list[Example]) -> list[Example]:
    """Adds the turns of members that ended in an error."""
    return [
        Example(index, turn.action.tokens, cross_entropy=1.0)
        for index, member in enumerate(group.members)
        for turn in member.turns
        if turn.action.tokens
    ]


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (forged, "tokens that its episode does not"),
        (failed_too, "ended in an error gives an example"),
        (lambda _, group, examples: None, "examples must return a list of"),
        (lambda _, group, examples: [replace(each, share=-1) for each in examples], "it must be 0 or more"),
        (lambda _, group, examples: [replace(each, episode=7) for each in examples], "an example is of episode 7"),
        (lambda _, group, examples: [replace(each, share=math.nan) for each in examples], "they must be finite"),
        (lambda call, group, examples: [replace(each, share=call) for each in examples], "other examples when asked"),
    ],
)
def test_a_faulty_learner_is_caught(fault: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_learner(Faulty(fault), cases=300)


class Answers:
    """A policy of one function from all prompts and seeds."""

    context_length = 4

    def __init__(self, function: Callable[..., Any]) -> None:
        self.act = function

    def count(self, prompt: Any) -> int:
        return 3


def refuse(prompts: Any, seeds: Any) -> Any:
    raise PolicyError("no")


LONG = Action("x", Tokens((1, 2), (3, 4), (-1.0, -1.0)))


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda prompts, seeds: [], "act must return a list of"),
        (lambda prompts, seeds: [Action(5)] * len(prompts), "act must return a list of"),
        (refuse, "refused every prompt"),
        (lambda prompts, seeds: ["x" for _ in prompts], "act must return a list of"),
        (lambda prompts, seeds: [Action(str(len(prompts)))] * len(prompts), "another answer by itself"),
        (lambda prompts, seeds: [Action(str(random.random())) for _ in prompts], "another answer by itself"),
        (
            lambda prompts, seeds: [Action("x", Tokens((1,), (2,), (0.5,)))] * len(prompts),
            "log-probability is above 0",
        ),
        (lambda prompts, seeds: [LONG] * len(prompts), "have 4 tokens, but count says at most 3"),
    ],
)
def test_a_faulty_policy_is_caught(function: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_policy(Answers(function))


class Letters:
    """A chat of one id per letter, with a fault."""

    stop_ids = frozenset({0})

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def encode(self, messages: Sequence[Message]) -> list[int]:
        ids: list[int] = []
        for message in messages:
            spliced = [*message.ids] if message.ids and self.fault != "again" else [*map(ord, message.content)]
            ids += [1, *spliced]
        return [len(messages), *ids, 1] if self.fault == "rewrites" else [*ids, 1]

    def encode_reply(self, text: str) -> list[int]:
        if self.fault == "endless":
            return [*map(ord, text)]
        return [0, *map(ord, text), 0] if self.fault == "early" else [*map(ord, text), 0]

    def decode(self, ids: Sequence[int]) -> str:
        text = "".join(chr(each) for each in ids if each not in self.stop_ids)
        return text.upper() if self.fault == "loud" else text


def test_a_chat_without_a_fault_keeps_the_laws() -> None:
    check_chat(Letters("none"))


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("rewrites", "does not begin with the prompt and the action before it"),
        ("again", "does not begin with the prompt and the action before it"),
        ("endless", "does not end with one of stop_ids"),
        ("early", "a stop id before its end"),
        ("loud", "when it is decoded"),
    ],
)
def test_a_faulty_chat_is_caught(fault: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_chat(Letters(fault))
