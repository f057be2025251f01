"""Learners are pure functions: checked against the formulas written out a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.learners import EPSILON, GRPO, Distillation, Sum, group_examples
from hero.distill.teacher import HindsightTeacher
from hero.errors import ConfigError
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.strategies import diagnosed_groups

PROMPT = (Message("user", "shop"),)
REWARDS = st.sampled_from([0.0, 1.0, 0.5, -0.25, 2 / 3])


def episode(reward: float, *texts: str, stop: Stop = Stop.TERMINATED, tokens: bool = True) -> Trajectory:
    """Returns an episode of one turn per text; the reward comes with the last."""
    turns = tuple(
        Turn(
            PROMPT,
            Action(text, Tokens((1,), (index + 2, 0), (-0.5, -0.1)) if tokens else None),
            "page",
            reward if index == len(texts) - 1 else 0.0,
        )
        for index, text in enumerate(texts)
    )
    return Trajectory("env", "task", 0, turns, stop, "boom" if stop is Stop.ERROR else "")


def learnable(group: Group) -> list[tuple[int, int, Tokens]]:
    """Returns episode, turn and tokens of each turn that may be learned from."""
    turns = []
    for episode_index, member in enumerate(group.members):
        if member.stop == Stop.ERROR:
            continue
        for turn_index, turn in enumerate(member.turns):
            if turn.action.tokens is not None and len(turn.action.tokens.action_ids) > 0:
                turns.append((episode_index, turn_index, turn.action.tokens))
    return turns


@settings(max_examples=40)
@given(diagnosed_groups())
def test_distillation_takes_the_sampled_turns_that_have_a_finding(
    diagnosed: tuple[Group, list[Diagnosis]],
) -> None:
    group, diagnoses = diagnosed
    teacher = HindsightTeacher()
    expected = [
        Example(index, tokens, teacher.context(group.members[index], turn, diagnoses[index]), distillation=1.0)
        for index, turn, tokens in learnable(group)
        if diagnoses[index].about(turn) != ""
    ]
    assert Distillation().examples(group, diagnoses) == expected


def test_distillation_leaves_a_turn_out_where_the_teacher_has_nothing_to_add() -> None:
    class OddTurns:
        def context(
            self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
        ) -> tuple[Message, ...] | None:
            return (Message("user", f"hint {turn}"),) if turn % 2 else None

    findings = tuple(Finding(turn, Verdict.USEFUL) for turn in range(3))
    examples = Distillation(OddTurns()).examples(Group((episode(0.0, "a", "b", "c"),)), [Diagnosis("me", findings)])
    assert [example.teacher for example in examples] == [(Message("user", "hint 1"),)]


def test_a_teacher_sees_the_other_members_and_earlier_successes_and_needs_no_diagnosis() -> None:
    class Naming:
        def context(
            self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
        ) -> tuple[Message, ...] | None:
            return (Message("user", " ".join(sibling.turns[0].action.text for sibling in siblings)),)

    group = Group((episode(0.0, "a"), episode(0.0, "b"), episode(0.0, "c")), earlier=(episode(1.0, "d"),))
    examples = Distillation(Naming()).examples(group, [Diagnosis("none")] * 3)
    assert [example.teacher[0].content for example in examples if example.teacher] == ["b c d", "a c d", "a b d"]


def test_distillation_learns_from_a_single_failed_episode_where_grpo_cannot() -> None:
    group = Group((episode(0.0, "a", "b"),))
    diagnoses = [Diagnosis("me", (Finding(1, Verdict.FAILED, advice="c"),))]
    assert [example.tokens.action_ids for example in Distillation().examples(group, diagnoses)] == [(3, 0)]
    assert GRPO().examples(group, diagnoses) == []


def test_grpo_clips_as_far_up_as_down_unless_told_otherwise() -> None:
    group = Group((episode(0.0, "a"), episode(1.0, "a")))
    clips = [
        [example.clip for example in learner.examples(group, [])]
        for learner in (GRPO(), GRPO(clip=0.1), GRPO(clip=0.1, clip_high=0.28))
    ]
    assert clips == [[(0.2, 0.2)] * 2, [(0.1, 0.1)] * 2, [(0.1, 0.28)] * 2]
    for name in ("clip", "clip_high"):
        with pytest.raises(ConfigError, match=f"{name} = 0.0 is not possible; give more than 0"):
            GRPO(**{name: 0.0})


def test_a_diagnosis_is_needed_for_each_member() -> None:
    with pytest.raises(ValueError, match="zip"):
        Distillation().examples(Group((episode(0.0, "a"), episode(0.0, "a"))), [Diagnosis("me")])


@given(st.lists(st.tuples(REWARDS, st.integers(1, 3)), min_size=2, max_size=6), st.booleans())
def test_grpo_advantages_are_those_of_the_paper(members: list[tuple[float, int]], scale_rewards: bool) -> None:
    group = Group(tuple(episode(reward, *"abc"[:turns]) for reward, turns in members))
    rewards = np.array([reward for reward, _ in members])
    assume(len(set(rewards)) > 1)
    scale = rewards.std(ddof=1) + EPSILON if scale_rewards else 1.0
    examples = GRPO(scale_rewards=scale_rewards).examples(group, [])
    assert [(example.episode, example.tokens) for example in examples] == [
        (index, tokens) for index, _, tokens in learnable(group)
    ]
    for example in examples:
        assert example.policy_gradient == pytest.approx((rewards[example.episode] - rewards.mean()) / scale)
        assert (example.teacher, example.distillation, example.cross_entropy) == (None, 0.0, 0.0)


@given(REWARDS, st.integers(1, 5), st.booleans())
def test_equal_rewards_give_grpo_no_examples(reward: float, size: int, scale_rewards: bool) -> None:
    group = Group(tuple(episode(reward, "a", "b") for _ in range(size)))
    assert GRPO(scale_rewards=scale_rewards).examples(group, []) == []


def test_episodes_that_ended_in_an_error_give_no_examples_and_do_not_count_in_the_baseline() -> None:
    group = Group((episode(1.0, "a"), episode(0.0, "b", stop=Stop.ERROR), episode(0.0, "c"), episode(0.5, "d")))
    examples = GRPO(scale_rewards=False).examples(group, [])
    assert [(example.episode, example.policy_gradient) for example in examples] == [(0, 0.5), (2, -0.5), (3, 0.0)]
    findings = [Diagnosis("me", (Finding(0, Verdict.USEFUL),))] * 4
    assert [example.episode for example in Distillation().examples(group, findings)] == [0, 2, 3]


def test_actions_without_tokens_give_no_examples() -> None:
    group = Group((episode(1.0, "a", tokens=False), episode(0.0, "b", tokens=False)))
    diagnoses = [Diagnosis("me", (Finding(0, Verdict.USEFUL),))] * 2
    assert Distillation().examples(group, diagnoses) == GRPO().examples(group, diagnoses) == []
    silent = Trajectory(
        "env", "task", 0, (Turn(PROMPT, Action("", Tokens((1,), (), ())), "page", 1.0),), Stop.TERMINATED
    )
    group = Group((silent, episode(0.0, "b", tokens=False)))
    assert Distillation().examples(group, diagnoses) == GRPO().examples(group, diagnoses) == []


@settings(max_examples=40)
@given(diagnosed_groups())
def test_a_sum_holds_the_examples_of_each(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    both = Sum(Distillation(), GRPO()).examples(*diagnosed)
    assert both == Distillation().examples(*diagnosed) + GRPO().examples(*diagnosed)


def test_a_sum_of_no_learners_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Sum()


def test_siblings_form_a_group_wherever_they_are_and_every_episode_has_an_index_of_its_own() -> None:
    def play(task_id: str, seed: int, reward: float, stop: Stop = Stop.TERMINATED) -> tuple[Trajectory, Diagnosis]:
        return replace(episode(reward, "a", stop=stop), task_id=task_id, seed=seed), Diagnosis("me")

    pairs = [play("x", 0, 1.0), play("y", 0, 0.0), play("x", 1, 0.5), play("x", 0, 0.0), play("y", 0, 0.5)]
    pairs += [play("x", 0, 9.0, Stop.ERROR), play("x", 1, 0.0)]
    examples = group_examples(GRPO(scale_rewards=False), pairs)
    assert [(example.episode, example.policy_gradient) for example in examples] == [
        *((0, 0.5), (1, -0.5)),  # of task x under seed 0, without the error
        *((2, -0.25), (3, 0.25)),  # of task y
        *((4, 0.25), (5, -0.25)),  # of task x under seed 1
    ]
    assert group_examples(GRPO(), []) == []


@pytest.mark.parametrize("answer", [None, ["x"], iter(())])
def test_a_learner_that_returns_something_else_is_named(answer: object) -> None:
    class Odd:
        def examples(self, group: Group, diagnoses: object) -> object:
            return answer

    with pytest.raises(ConfigError, match="the learner Odd must return a list of Example"):
        group_examples(Odd(), [(episode(1.0, "a"), Diagnosis("nobody"))])  # type: ignore[arg-type]
