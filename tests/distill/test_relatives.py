"""Relatives of HERO: which turns each takes, and what its teacher sees there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings

from hero.distill.base import Example, Learner
from hero.distill.learners import GRPO, Distillation
from hero.distill.relatives import KL, SDAR, SDPO, Demonstration, Feedback, HinTSD, OpenClaw
from hero.distill.sums import Sum
from hero.distill.teacher import DemonstrationTeacher, FeedbackTeacher, HindsightTeacher
from hero.distill.turns import sampled_turns
from hero.errors import ConfigError
from hero.testing.strategies import diagnosed_groups
from hero.types import Diagnosis, Finding, Group, Stop, Verdict
from tests.distill.trajectories import episode, learnable

UNDIAGNOSED = Diagnosis("none")
ALL = Distillation(praise="all")
WON, LOST = episode(1.0, "a", "b", success=True), episode(0.0, "c", "d", success=False)
EARLIER = episode(1.0, "e", success=True), episode(1.0, "f", success=True)


def shown(examples: Sequence[Example]) -> list[tuple[int, str]]:
    """Returns episode and last privileged message of each example."""
    return [(example.episode, example.teacher[-1].content) for example in examples if example.teacher]


def demonstration(*actions: str) -> str:
    steps = "".join(f"Action: {action}\nNext: page\n" for action in actions)
    return f"shop\n\nA successful attempt at this task.\n{steps}Now act with this in mind."


FEEDBACK = "shop\n\nHindsight on the action taken here.\nNext: page\nNow act with this in mind."


@settings(max_examples=40)
@given(diagnosed_groups())
def test_feedback_distils_every_turn_whatever_the_diagnosis(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    group, diagnoses = diagnosed
    teacher = FeedbackTeacher()
    contexts = [
        (index, tokens, teacher.context(group.members[index], turn, UNDIAGNOSED))
        for index, turn, tokens in learnable(group)
    ]
    assert Feedback().examples(group, diagnoses) == [
        Example(*of_turn, distillation=1.0) for of_turn in contexts if of_turn[2]
    ]


def test_a_demonstration_is_that_of_a_sibling_or_else_the_newest_and_never_the_episode_itself() -> None:
    def demonstrated(*members: object, earlier: object = ()) -> list[tuple[int, str]]:
        group = Group(members, earlier)  # type: ignore[arg-type]
        return shown(Demonstration().examples(group, [UNDIAGNOSED] * len(members)))

    assert demonstrated(LOST, WON, LOST) == [(0, demonstration("a", "b"))] * 2 + [(2, demonstration("a", "b"))] * 2
    assert demonstrated(LOST, LOST) == demonstrated(WON) == []
    assert demonstrated(WON, earlier=EARLIER) == [(0, demonstration("f"))] * 2
    assert demonstrated(LOST, WON, earlier=EARLIER) == [
        *[(0, demonstration("a", "b"))] * 2,
        *[(1, demonstration("f"))] * 2,
    ]


def test_sdpo_shows_a_successful_sibling_and_feedback_where_there_is_none() -> None:
    group = Group((LOST, WON), EARLIER)
    assert shown(SDPO().examples(group, [UNDIAGNOSED] * 2)) == [(0, demonstration("a", "b"))] * 2 + [(1, FEEDBACK)] * 2
    assert not SDPO().needs_earlier
    assert Demonstration().needs_earlier


def test_sdpo_is_silent_where_there_is_neither() -> None:
    silent = replace(LOST, turns=tuple(replace(turn, observation="") for turn in LOST.turns))
    assert SDPO().examples(Group((silent,)), [UNDIAGNOSED]) == []


@settings(max_examples=60)
@given(diagnosed_groups())
def test_hint_distils_the_wrong_turns_of_failed_episodes(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    group, diagnoses = diagnosed
    expected = [
        example
        for example in Distillation().examples(group, diagnoses)
        if not group.members[example.episode].success
        and example.finding
        and example.finding.verdict not in (None, Verdict.USEFUL)
    ]
    assert HinTSD().examples(group, diagnoses) == expected


@settings(max_examples=60)
@given(diagnosed_groups())
def test_praise_of_failed_episodes_is_left_out_where_only_success_proves_it(
    diagnosed: tuple[Group, list[Diagnosis]],
) -> None:
    group, diagnoses = diagnosed
    expected = [
        example
        for example in ALL.examples(group, diagnoses)
        if group.members[example.episode].success
        or not example.finding
        or example.finding.verdict is not Verdict.USEFUL
    ]
    assert Distillation().examples(group, diagnoses) == expected


def test_praise_counts_in_all_episodes_or_in_successful_ones() -> None:
    diagnoses = [Diagnosis("me", (Finding(0, Verdict.FAILED, "x"), Finding(1, Verdict.USEFUL, "y")))] * 2
    every, proven = (learner.examples(Group((WON, LOST)), diagnoses) for learner in (ALL, Distillation()))
    assert [example.episode for example in every] == [0, 0, 1, 1]
    assert [example.episode for example in proven] == [0, 0, 1]
    with pytest.raises(ConfigError, match="praise = some is not possible; give one of all, success"):
        Distillation(praise="some")  # type: ignore[arg-type]


def test_hint_takes_no_option_that_would_do_nothing() -> None:
    assert HinTSD(gate=2.0).gate == 2.0
    with pytest.raises(TypeError):
        HinTSD(praise="all")  # type: ignore[call-arg]


@pytest.mark.parametrize("learner", [Feedback(), Demonstration(), SDPO(), OpenClaw(), SDAR()])
def test_its_relatives_take_the_praise_of_failed_episodes_as_their_papers_do(learner: Learner) -> None:
    diagnoses = [Diagnosis("me", (Finding(0, Verdict.USEFUL, "y"),))] * 2
    distilled = [example for example in learner.examples(Group((WON, LOST)), diagnoses) if example.distillation]
    assert LOST.turns[0].action.tokens in [example.tokens for example in distilled if example.episode == 1]


def test_hint_needs_a_verdict_and_a_failure() -> None:
    findings = [Finding(0, Verdict.FAILED, "x"), Finding(1, Verdict.USEFUL, "y")]
    diagnoses = [Diagnosis("me", tuple(findings))] * 2
    assert [(each.episode, each.finding) for each in HinTSD().examples(Group((WON, LOST)), diagnoses)] == [
        (1, findings[0])
    ]


@settings(max_examples=40)
@given(diagnosed_groups())
def test_openclaw_shows_the_hint_alone(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    group, diagnoses = diagnosed
    examples = OpenClaw().examples(group, diagnoses)
    turns = [(index, turn) for index, turn, _ in learnable(group) if diagnoses[index].about(turn)]
    assert len(examples) == len(turns)
    for example, (index, turn) in zip(examples, turns, strict=True):
        assert example.teacher is not None
        last, hint = group.members[index].turns[turn].prompt[-1].content, diagnoses[index].about(turn)
        expected = f"{last}\n\nHindsight on the action taken here.\nReview: {hint}\nNow act with this in mind."
        assert (example.episode, example.teacher[-1].content) == (index, expected)


@settings(max_examples=40)
@given(diagnosed_groups())
def test_sdar_is_grpo_and_gated_distillation(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    rewarded = GRPO().examples(*diagnosed)
    examples = SDAR(weight=0.5, gate=3.0).examples(*diagnosed)
    assert examples[: len(rewarded)] == rewarded
    plain = ALL.examples(*diagnosed)
    for example, whole in zip(examples[len(rewarded) :], plain, strict=True):
        assert (example.gate, example.distillation) == (3.0, 0.5)
        assert (example.teacher, example.tokens, example.finding) == (whole.teacher, whole.tokens, whole.finding)


def test_sdar_is_the_sum_that_its_docstring_names() -> None:
    praised = [Diagnosis("x", (Finding(0, Verdict.USEFUL, "a good step"), Finding(1, Verdict.FAILED, "no")))] * 2
    examples = SDAR().examples(Group((WON, LOST)), praised)
    assert examples == Sum(GRPO(), Distillation(gate=1, praise="all")).examples(Group((WON, LOST)), praised)
    assert len(examples) == 4 + 4


def test_sdar_takes_any_teacher() -> None:
    assert not SDAR().needs_earlier
    assert SDAR(DemonstrationTeacher()).needs_earlier
    with pytest.raises(ConfigError, match=r"gate = 0.0 is not possible"):
        SDAR(gate=0.0)
    teacher = HindsightTeacher(diagnosis=False, advice=False, reward=False)
    assert shown(SDAR(teacher).examples(Group((LOST,)), [UNDIAGNOSED])) == [(0, FEEDBACK)] * 2


@settings(max_examples=40)
@given(diagnosed_groups())
def test_kl_shows_the_prompt_as_it_is(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    group, diagnoses = diagnosed
    assert KL().examples(group, diagnoses) == [
        Example(index, tokens, group.members[index].turns[turn].prompt, distillation=1.0)
        for index, turn, tokens in learnable(group)
    ]
    for example in KL(mean="episode").examples(group, diagnoses):
        tokens_of_episode = sum(len(tokens.action_ids) for _, tokens in sampled_turns(group.members[example.episode]))
        assert example.share * tokens_of_episode == pytest.approx(1)


@pytest.mark.parametrize("learner", [Feedback(), Demonstration(), SDPO(), HinTSD(), OpenClaw(), SDAR(), KL()])
def test_errors_and_actions_without_tokens_give_no_examples(learner: Distillation) -> None:
    broken = episode(0.0, "a", stop=Stop.ERROR, success=False)
    silent = episode(0.0, "a", tokens=False, success=False)
    diagnoses = [Diagnosis("me", (Finding(0, Verdict.FAILED, "x"),))] * 2
    assert learner.examples(Group((broken, silent), EARLIER), diagnoses) == []
