"""Learners are pure functions: checked against the formulas written out a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.learners import EPSILON, GRPO, Base, Distillation, group_examples, successes
from hero.distill.teacher import HindsightTeacher
from hero.errors import ConfigError
from hero.testing.strategies import diagnosed_groups
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.distill.trajectories import PROMPT, REWARDS, episode, learnable


@settings(max_examples=40)
@given(diagnosed_groups())
def test_distillation_takes_the_sampled_turns_that_have_a_finding(
    diagnosed: tuple[Group, list[Diagnosis]],
) -> None:
    group, diagnoses = diagnosed
    teacher = HindsightTeacher()
    expected = []
    for index, turn, tokens in learnable(group):
        findings = [finding for finding in diagnoses[index].findings if finding.turn == turn and finding.text()]
        if findings:
            context = teacher.context(group.members[index], turn, diagnoses[index])
            expected.append(Example(index, tokens, context, distillation=1.0, gate=2.0, finding=findings[0]))
    assert Distillation(gate=2.0, praise="all").examples(group, diagnoses) == expected


def test_an_example_has_the_finding_that_the_teacher_is_shown() -> None:
    finding = Finding(0, Verdict.FAILED, "too dear", "back")
    group, diagnoses = Group((episode(0.0, "a"),)), [Diagnosis("me", (finding,))]

    def shown(**switches: bool) -> Finding | None:
        (example,) = Distillation(HindsightTeacher(**switches)).examples(group, diagnoses)
        return example.finding

    assert shown() == finding
    assert shown(advice=False) == replace(finding, advice="")
    assert shown(diagnosis=False) == finding  # the verdict says what is to be measured, shown or not
    assert shown(diagnosis=False, advice=False) is None  # the observation alone


@pytest.mark.parametrize("gate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_gate_that_is_not_possible_is_refused(gate: float) -> None:
    with pytest.raises(ConfigError, match=r"gate = .* is not possible"):
        Distillation(gate=gate)


def test_distillation_leaves_a_turn_out_where_the_teacher_has_nothing_to_add() -> None:
    class OddTurns:
        def context(
            self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
        ) -> tuple[Message, ...] | None:
            return (Message("user", f"hint {turn}"),) if turn % 2 else None

    findings = tuple(Finding(turn, Verdict.FAILED) for turn in range(3))
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
    learner = Distillation(praise="all")
    assert [example.episode for example in learner.examples(group, findings)] == [0, 2, 3]


def test_actions_without_tokens_give_no_examples() -> None:
    group = Group((episode(1.0, "a", tokens=False), episode(0.0, "b", tokens=False)))
    diagnoses = [Diagnosis("me", (Finding(0, Verdict.USEFUL),))] * 2
    assert Distillation().examples(group, diagnoses) == GRPO().examples(group, diagnoses) == []
    silent = Trajectory(
        "env", "task", 0, (Turn(PROMPT, Action("", Tokens((1,), (), ())), "page", 1.0),), Stop.TERMINATED
    )
    group = Group((silent, episode(0.0, "b", tokens=False)))
    assert Distillation().examples(group, diagnoses) == GRPO().examples(group, diagnoses) == []


@given(st.lists(st.tuples(REWARDS, st.integers(1, 3)), min_size=2, max_size=6))
def test_the_mean_over_episodes_is_that_of_their_own_means(members: list[tuple[float, int]]) -> None:
    group = Group(tuple(episode(reward, *"abc"[:turns]) for reward, turns in members))
    examples = GRPO(mean="episode").examples(group, [])
    assume(examples)
    losses = {id(example): 0.1 + index for index, example in enumerate(examples)}  # of each token of an action
    own_means = [
        np.mean([losses[id(example)] for example in examples if example.episode == index for _ in range(2)])
        for index in range(len(members))
    ]
    shares = np.array([example.share for example in examples for _ in range(2)])
    values = np.array([losses[id(example)] for example in examples for _ in range(2)])
    assert (shares * values).sum() / shares.sum() == pytest.approx(np.mean(own_means))
    assert {example.share for example in GRPO().examples(group, [])} == {1.0}


def test_the_clip_is_written_on_the_examples() -> None:
    group = Group((episode(1.0, "a"), episode(0.0, "b")))
    assert {example.clip for example in GRPO(clip=0.1).examples(group, [])} == {(0.1, 0.1)}
    assert {example.clip for example in GRPO(clip_high=0.28).examples(group, [])} == {(0.2, 0.28)}


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"clip_high": -0.1}, {"clip": float("nan")}, {"mean": "turn"}])
def test_options_of_grpo_that_are_not_possible_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))} = .* is not possible"):
        GRPO(**options)


@settings(max_examples=20)
@given(diagnosed_groups())
def test_the_base_learns_nothing(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    assert Base().examples(*diagnosed) == []


@given(st.lists(st.tuples(st.sampled_from("xy"), st.booleans()), max_size=8))
def test_the_last_success_of_each_task_is_kept(played: list[tuple[str, bool]]) -> None:
    episodes = [replace(episode(0.0, "a", success=won), task_id=task, seed=n) for n, (task, won) in enumerate(played)]
    last = {task: n for n, (task, won) in enumerate(played) if won}
    assert {key: each.seed for key, each in successes(episodes).items()} == {
        ("env", task): n for task, n in last.items()
    }


def test_a_group_has_the_earlier_success_of_its_own_task() -> None:
    class Reading:
        def examples(self, group: Group, diagnoses: object) -> list[Example]:
            seen[group.members[0].task_id] = [each.turns[0].action.text for each in group.earlier]
            return []

    seen: dict[str, list[str]] = {}
    pairs = [(replace(episode(0.0, "a"), task_id=task, seed=1), Diagnosis("me")) for task in "xyz"]
    kept = successes(replace(episode(1.0, task, success=True), task_id=task) for task in "xz")
    group_examples(Reading(), pairs, kept)
    assert seen == {"x": ["x"], "y": [], "z": ["z"]}
    group_examples(Reading(), pairs)
    assert seen == {"x": [], "y": [], "z": []}


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
