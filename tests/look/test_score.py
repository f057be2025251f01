"""Scored episodes: pieces of actions, and the turns that the teacher has hindsight on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.chat.tiktoken import TiktokenChat
from hero.distill.base import Example
from hero.distill.learners import Distillation, TaskKey, group_examples, successes
from hero.distill.relatives import SDPO, Demonstration
from hero.distill.teacher import HindsightTeacher
from hero.distill.token_scores import TokenScore
from hero.look.score import pieces, score_batch, scored_turns, with_earlier
from hero.types import Action, Diagnosis, Finding, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.look.made import entry
from tests.tiny_models import ENCODING

CHAT = TiktokenChat(ENCODING)


@given(st.text(max_size=20))
def test_the_pieces_of_an_action_add_up_to_its_text(text: str) -> None:
    ids = CHAT.encode_reply(text)
    *parts, end = pieces(CHAT, ids)
    assert end is None
    assert "".join(part or "" for part in parts) == CHAT.decode(ids)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=8))
def test_any_sampled_ids_have_as_many_pieces(ids: list[int]) -> None:
    assert len([*pieces(CHAT, ids)]) == len(ids)


class Scorer:
    """Scores every token alike, but for prompts that are too long, and acts in one word."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Message]] = []

    def score(self, examples: Sequence[Example]) -> list[list[TokenScore] | None]:
        return [
            None
            if "long" in str(e.teacher)
            else [TokenScore(id_, -1.0, -2.5, ((id_, -0.1),)) for id_ in e.tokens.action_ids]
            for e in examples
        ]

    def teacher_acts(self, prompts: Sequence[Sequence[Message]]) -> list[Action]:
        self.asked += prompts
        return [Action("better") for _ in prompts]


def trajectory(*actions: str, stop: Stop = Stop.TERMINATED) -> Trajectory:
    turns = []
    for text in actions:
        ids = tuple(CHAT.encode_reply(text))
        turns.append(Turn((Message("user", "saw"),), Action(text, Tokens((1,), ids, (0.0,) * len(ids))), "then", 0.0))
    return Trajectory("env", "task", 0, tuple(turns), stop)


def test_each_turn_with_hindsight_is_scored_and_each_wrong_one_acted_again() -> None:
    diagnosis = Diagnosis(
        "x", (Finding(0, Verdict.FAILED, "no", "b"), Finding(2, Verdict.USEFUL), Finding(3, Verdict.FAILED, "long"))
    )
    scorer = Scorer()
    first = entry(trajectory("a", "b", "c", "d"), 1)
    lost = entry(trajectory("a", stop=Stop.ERROR), 2)
    unread = entry(trajectory("a"), 3)
    notes = score_batch(
        scorer, HindsightTeacher(), CHAT, [first, lost, unread], {"training/1": diagnosis, "training/2": diagnosis}
    )
    assert {key: [turn["turn"] for turn in note["turns"]] for key, note in notes.items()} == {
        "training/1": [0, 2], "training/2": [], "training/3": [],
    }  # fmt: skip
    wrong, useful = notes["training/1"]["turns"]
    assert (wrong["would"], "would" in useful) == ("better", False)
    assert wrong["tokens"] == [["a", -1.0, -2.5, [["a", -0.1]]], [None, -1.0, -2.5, [[None, -0.1]]]]
    assert len(scorer.asked) == 1
    assert "failed: no" in scorer.asked[0][-1].content


@pytest.mark.parametrize("shown", [True, False])
def test_siblings_are_of_the_same_task_alone(shown: bool) -> None:
    seen: list[int] = []

    class Counting:
        def context(
            self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
        ) -> None:
            seen.append(len(siblings))

    others = [entry(trajectory("b"), 2)]
    if not shown:
        stranger = trajectory("b")
        others = [entry(Trajectory("env", "another", 0, stranger.turns, stranger.stop), 2)]
        others += [entry(Trajectory("env", "task", 1, stranger.turns, stranger.stop), 3)]  # of another seed
        others += [entry(replace(stranger, stop=Stop.ERROR), 4)]
    score_batch(Scorer(), Counting(), CHAT, [entry(trajectory("a"), 1), *others], {"training/1": Diagnosis("x")})
    assert seen == [int(shown)]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=6))
def test_pieces_add_up_even_if_an_action_ends_within_a_character(ids: list[int]) -> None:
    ended = [*ids, min(CHAT.stop_ids)]
    assert "".join(part or "" for part in pieces(CHAT, ended)) == CHAT.decode(ended)
    assert "".join(part or "" for part in pieces(CHAT, ids)) == CHAT.decode(ids)


def test_siblings_that_are_not_asked_for_are_not_scored() -> None:
    first, second = entry(trajectory("a"), 1), entry(trajectory("b"), 2)
    diagnoses = {each.key: Diagnosis("x", (Finding(0, Verdict.USEFUL),)) for each in (first, second)}
    notes = score_batch(Scorer(), HindsightTeacher(), CHAT, [first, second], diagnoses, only={second.key})
    assert {key: len(note["turns"]) for key, note in notes.items()} == {second.key: 1}


def solved(action: str) -> Trajectory:
    played = trajectory(action)
    return replace(played, turns=(*played.turns[:-1], replace(played.turns[-1], info={"success": True})))


@pytest.mark.parametrize("learner", [SDPO(), Demonstration(), Distillation()])
def test_the_teacher_reads_what_it_read_in_training(learner: Distillation) -> None:
    """The prompts are those of the examples that `group_examples` makes step by step, as training does."""
    steps = [
        [solved("A"), solved("B"), trajectory("c")],
        [trajectory("d"), trajectory("e"), solved("F")],
        [trajectory("g")],
        [trajectory("h")],  # the newest success is two steps old
    ]
    entries = [
        entry(played, 10 * step + number, step=step)
        for step, episodes in enumerate(steps, 1)
        for number, played in enumerate(episodes)
    ]
    diagnoses = {each.key: Diagnosis("x", (Finding(0, Verdict.FAILED, "no"),)) for each in entries}
    earlier: dict[TaskKey, Trajectory] = {}
    for (batch, seen), episodes in zip(with_earlier(entries, learner.teacher), steps, strict=True):
        trained = group_examples(learner, [(each, diagnoses["training/10"]) for each in episodes], earlier)
        read = [example.teacher for _, _, example in scored_turns(learner.teacher, batch, diagnoses, seen)]
        assert read == [example.teacher for example in trained]
        earlier |= successes(episodes) if learner.needs_earlier else {}
    assert read or not learner.needs_earlier


def test_evaluations_are_shown_no_earlier_success() -> None:
    trained, evaluated = entry(solved("A"), 1), replace(entry(trajectory("b"), 2), split="evaluation")
    assert [earlier for _, earlier in with_earlier([trained, evaluated], Demonstration().teacher)] == [{}, {}]
