"""What `python -m benchmarks.tiny.desk_probe` measures, of policies that are known."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from benchmarks.tiny.clerk import Wanderer, expert, review
from benchmarks.tiny.desk_probe import expert_turns, review_quality, skill, with_hindsight, wrong_arguments
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import Case
from hero.policy import FunctionPolicy, Policy
from hero.types import Action, Message, Verdict

TURNS = expert_turns(30)
EPISODES = play(desk(-1), Wanderer(random.Random(0)), 20, random.Random(0))


@dataclass
class Student:
    """A language model that is a function."""

    function: Callable[[Sequence[Message]], str]

    def policy(self, **options: float) -> Policy:
        return FunctionPolicy(self.function)


def test_the_expert_has_every_skill_and_one_wrong_id_is_named() -> None:
    right = [turn.action for turn in TURNS]
    assert {share for steps in skill(TURNS, right).values() for share in steps.values()} == {100.0}
    assert set(wrong_arguments(TURNS, right).values()) == {0.0}
    bare = [Action(action.text.replace('"order_id": "#', '"order_id": "')) for action in right]
    assert {steps["get_order_details"] for steps in skill(TURNS, bare).values()} == {0.0}
    wrong = wrong_arguments(TURNS, bare)
    assert wrong["get_order_details order_id"] == 100.0
    assert {share for name, share in wrong.items() if "order_id" not in name} == {0.0}
    assert set(wrong_arguments(TURNS, [Action("no call")] * len(TURNS)).values()) == {100.0}


def test_reviews_are_counted_by_turns() -> None:
    verdicts = [finding.verdict for episode in EPISODES for finding in review(episode).findings]
    wrong = sum(verdict is not Verdict.USEFUL for verdict in verdicts)
    quality = review_quality(Student(lambda messages: "1 useful"), EPISODES, 256)  # type: ignore[arg-type]
    assert quality["wrong turns"] == pytest.approx(100 * wrong / len(verdicts))
    assert quality["reviewed"] == pytest.approx(100 * len(EPISODES) / len(verdicts))
    first = [review(episode).findings[0].verdict for episode in EPISODES]
    assert quality["right, called useful"] == pytest.approx(100 * first.count(Verdict.USEFUL) / (len(verdicts) - wrong))
    assert quality["wrong, called useful"] == pytest.approx(100 * (len(first) - first.count(Verdict.USEFUL)) / wrong)
    assert quality["wrong, called so"] == quality["wrong, advised rightly"] == 0.0


def test_who_follows_takes_the_advised_action_and_only_where_it_is_shown() -> None:
    def follow(messages: Sequence[Message]) -> str:
        _, _, advice = messages[-1].content.partition("nstead: ")
        return advice.partition("\nFinal reward")[0] or "nothing"

    shares = with_hindsight(Student(follow), EPISODES, 1000)  # type: ignore[arg-type]
    assert shares["advised, shown all"] == 100.0
    assert shares["advised, shown nothing"] == shares["faulted again, shown all"] == 0.0
    shares = with_hindsight(Student(lambda messages: Case(messages).good()), EPISODES[:1], 1000)  # type: ignore[arg-type]
    assert shares["advised, shown nothing"] == 100.0
    assert expert(TURNS[0].prompt) == TURNS[0].action.text
