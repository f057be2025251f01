"""The shared values are complete when built, and read as documented."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.testing.strategies import actions, diagnosed_groups, diagnoses, texts, tokens, trajectories, words
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict


@given(st.lists(st.integers(), max_size=4), st.lists(st.floats(-9, 0), max_size=4))
def test_tokens_refuse_log_probabilities_of_another_length(action_ids: list[int], logprobs: list[float]) -> None:
    if len(action_ids) == len(logprobs):
        assert Tokens((), tuple(action_ids), tuple(logprobs)).logprobs == tuple(logprobs)
    else:
        with pytest.raises(ValueError, match=f"{len(action_ids)} action ids but {len(logprobs)}"):
            Tokens((), tuple(action_ids), tuple(logprobs))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_tokens_refuse_a_temperature_without_a_distribution(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature of {temperature} is not possible"):
        Tokens((), (), (), temperature=temperature)


@given(actions())
def test_the_message_of_an_action_carries_what_was_sampled(action: Action) -> None:
    message = action.message()
    assert (message.role, message.content) == ("assistant", action.text)
    assert message.ids == (action.tokens.action_ids if action.tokens else ())


@given(trajectories())
def test_reward_is_the_sum_over_the_turns(trajectory: Trajectory) -> None:
    total = 0.0
    for turn in trajectory.turns:
        total += turn.reward
    assert trajectory.reward == pytest.approx(total)
    assert isinstance(trajectory.reward, float)


@pytest.mark.parametrize(
    ("infos", "success"),
    [
        ([], False),
        ([{}], False),
        ([{"success": True}], True),
        ([{"success": False}], False),
        ([{"success": 1}], False),
        ([{"success": True}, {}], False),
    ],
)
def test_success_is_that_of_the_last_turn_alone(infos: list[dict[str, bool]], success: bool) -> None:
    turns = tuple(Turn((), Action("a"), "", 0.0, info=dict(info)) for info in infos)
    assert Trajectory("env", "0", 0, turns, Stop.TERMINATED).success is success


@given(st.lists(st.tuples(words, words), max_size=4))
def test_a_group_is_of_exactly_one_task(tasks: list[tuple[str, str]]) -> None:
    members = tuple(Trajectory(env_id, task_id, 0, (), Stop.ERROR, "boom") for env_id, task_id in tasks)
    if len(set(tasks)) == 1:
        assert Group(members).members == members
    else:
        with pytest.raises(ValueError, match=f"exactly one task, not of {len(set(tasks))}"):
            Group(members)


@given(st.lists(st.integers(0, 5), max_size=5))
def test_findings_are_about_different_turns_in_order(turns: list[int]) -> None:
    findings = tuple(Finding(turn, None, "cause") for turn in turns)
    if all(earlier < later for earlier, later in pairwise(turns)):
        assert Diagnosis("me", findings).findings == findings
    else:
        with pytest.raises(ValueError, match="different turns, in order"):
            Diagnosis("me", findings)


@given(diagnoses(num_turns=4))
def test_about_is_the_text_of_the_finding_and_empty_elsewhere(diagnosis: Diagnosis) -> None:
    texts_by_turn = {finding.turn: finding.text() for finding in diagnosis.findings}
    for turn in range(-1, 6):
        assert diagnosis.about(turn) == texts_by_turn.get(turn, "")


@given(st.none() | st.sampled_from(Verdict), texts, texts)
def test_the_text_of_a_finding_has_all_its_parts_and_is_empty_without_any(
    verdict: Verdict | None, cause: str, advice: str
) -> None:
    text = Finding(0, verdict, cause, advice).text()
    assert bool(text) == bool(verdict or cause or advice)
    assert cause in text
    if verdict:
        assert text.startswith(verdict.value)
    if advice:
        assert text.endswith(f"instead: {advice}")


def test_a_finding_reads_as_documented() -> None:
    finding = Finding(2, Verdict.FAILED, "over budget", "click[< prev]")
    assert finding.text() == "failed: over budget\ninstead: click[< prev]"


@settings(max_examples=30)
@given(diagnosed_groups())
def test_values_compare_by_content_and_cross_processes(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    assert pickle.loads(pickle.dumps(diagnosed)) == diagnosed


@given(tokens(), st.sampled_from([Message("user", "x"), Finding(0, None), Action("a")]))
def test_values_are_frozen(value: Tokens, other: object) -> None:
    with pytest.raises(FrozenInstanceError):
        value.policy_version = 7  # type: ignore[misc]
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        other.extra = 1  # type: ignore[attr-defined]
