"""Evaluations: estimates and their intervals, against scipy and against counting; differences; records."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from hero.evaluation import Evaluation, difference
from hero.intervals import t_interval, wilson_interval
from hero.outcomes import Outcome
from hero.testing.strategies import trajectories
from hero.types import Action, Message, Stop, Trajectory, Turn


def outcome(task: int, success: bool, reward: float = 0.0) -> Outcome:
    return Outcome(f"task-{task}", success, reward, turns=3, valid=1.0, stop=Stop.TERMINATED)


def evaluation(*trials: list[bool]) -> Evaluation:
    """Returns an evaluation with a list of successes per task."""
    return Evaluation(tuple(outcome(task, success) for task, each in enumerate(trials) for success in each))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_success_of_single_trials_has_the_wilson_interval(counts: tuple[int, int]) -> None:
    wins, tasks = counts
    got = evaluation(*([index < wins] for index in range(tasks))).success
    want = stats.binomtest(wins, tasks).proportion_ci(0.95, "wilson")
    assert (got.value, got.low, got.high) == pytest.approx((wins / tasks, want.low, want.high), abs=1e-12)


@given(st.lists(st.integers(1, 5).flatmap(lambda n: st.lists(st.booleans(), min_size=n, max_size=n)), min_size=2))
def test_the_interval_is_between_that_of_tasks_and_that_of_episodes(trials: list[list[bool]]) -> None:
    got = evaluation(*trials).success
    widest, narrowest = (wilson_interval(got.value, size) for size in (len(trials), sum(map(len, trials))))
    assert widest.low - 1e-12 <= got.low <= narrowest.low + 1e-12 <= got.value + 2e-12
    assert got.value - 1e-12 <= narrowest.high - 1e-12 <= got.high <= widest.high + 1e-12


def test_repeating_a_task_that_always_ends_alike_adds_no_certainty() -> None:
    once = evaluation([True], [False], [False], [True], [False]).success
    often = evaluation(*([result] * 50 for result in (True, False, False, True, False))).success
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_trials_that_do_not_depend_on_the_task_count_in_full() -> None:
    got = evaluation(*([True, False] for _ in range(50))).success
    want = wilson_interval(0.5, 100, float(stats.t(49).ppf(0.975)))
    assert (got.low, got.high) == pytest.approx((want.low, want.high))


def test_trials_of_one_task_say_nothing_about_others() -> None:
    assert evaluation([True, False] * 50).success == wilson_interval(0.5, 1)


@pytest.mark.parametrize("tasks", [2, 3, 5, 10])
def test_the_interval_of_repeated_trials_covers_the_success_of_tasks_that_differ(tasks: int) -> None:
    random = np.random.default_rng(tasks)
    effects = 1.5 * stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    truth, covered = float(expit(effects).mean()), 0
    for _ in range(300):
        chances = expit(random.normal(0, 1.5, tasks))
        got = evaluation(*((random.random(10) < chance).tolist() for chance in chances)).success
        covered += got.low <= truth <= got.high
    assert covered >= 0.94 * 300  # with the quantile of the normal distribution 0.80 to 0.93


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5), st.integers(1, 4))
def test_pass_hat_k_is_the_share_of_all_k_subsets_that_succeed(trials: list[list[bool]], k: int) -> None:
    want = fmean(fmean(all(subset) for subset in itertools.combinations(each, k)) for each in trials)
    assert evaluation(*trials).pass_hat(k) == pytest.approx(want)


def test_pass_hat_k_needs_k_trials() -> None:
    with pytest.raises(ValueError, match=r"1 <= k <= 2"):
        evaluation([True, True], [True, True, False]).pass_hat(3)


pairs = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=30)


def scored(rewards: list[float], first: int = 0) -> Evaluation:
    return Evaluation(tuple(outcome(first + task, False, reward) for task, reward in enumerate(rewards)))


@given(pairs)
def test_the_difference_of_paired_means_has_the_paired_t_interval(rewards: list[tuple[float, float]]) -> None:
    after, before = (list(side) for side in zip(*rewards, strict=True))
    assume(all(max(side) - min(side) > 1e-3 for side in (after, before)))
    assume(max(a - b for a, b in rewards) - min(a - b for a, b in rewards) > 1e-3)
    got = difference(scored(after), scored(before), "score")
    want = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (got.low, got.high) == pytest.approx((100 * want.low, 100 * want.high), abs=1e-6)


def test_pairing_is_by_task_and_not_by_order() -> None:
    before = scored([0.1, 0.5, 0.9])
    after = Evaluation(tuple(outcome(task, False, reward) for task, reward in ((2, 1.0), (1, 0.6), (0, 0.2))))
    got = difference(after, before, "score")
    assert (got.low, got.high) == pytest.approx((10.0, 10.0))


def test_the_difference_of_independent_shares_is_newcombes() -> None:
    # Newcombe (1998), table II, example (a): 56/70 against 48/80, method 10.
    before = evaluation(*([index < 48] for index in range(80)))
    after = evaluation(*([index < 56] for index in range(70)))
    got = difference(after, before, "success")
    assert (got.value, got.low, got.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_equal_evaluations_do_not_differ() -> None:
    same = evaluation([True], [False], [True])
    got = difference(same, same, "success")
    assert got.low <= 0.0 <= got.high
    assert got.value == 0.0


def test_an_episode_that_ended_in_an_error_is_a_failure_that_counts() -> None:
    broken = Trajectory("env", "task-1", 0, (), Stop.ERROR, "ValueError: no")
    won = Trajectory(
        "env",
        "task-0",
        0,
        (Turn((Message("user", "?"),), Action("a"), "o", 1.0, info={"success": True}),),
        Stop.TERMINATED,
    )
    got = Evaluation((Outcome.of(won), Outcome.of(broken)))
    assert (got.success.value, got.score.value, got.errors) == (0.5, 50.0, 1)


@settings(max_examples=30)
@given(st.lists(trajectories(), min_size=1, max_size=3))
def test_an_evaluation_comes_back_from_its_record(played: list[Trajectory]) -> None:
    once = Evaluation(tuple(map(Outcome.of, played)))
    text = json.dumps(once.record(), allow_nan=False)
    assert Evaluation.of_record(json.loads(text)) == once


def test_the_interval_of_a_share_is_of_shares() -> None:
    shares = [1.0] * 9 + [0.5]
    got = Evaluation(
        tuple(Outcome(f"task-{task}", True, 1.0, 2, share, Stop.TERMINATED) for task, share in enumerate(shares))
    ).valid_actions
    assert (got.value, got.high) == (0.95, 1.0)
    assert got.low == pytest.approx(t_interval(shares).low)


def test_invalid_actions_are_counted_by_episode() -> None:
    shares = [(4, 0.75), (10, 1.0), (3, 0.0), (0, 0.0)]
    outcomes = (Outcome(f"{turns}", True, 1.0, turns, share, Stop.TERMINATED) for turns, share in shares)
    got = Evaluation(tuple(outcomes)).invalid_actions
    assert got.value == pytest.approx((1 + 0 + 3 + 0) / 4)
    assert (got.low, got.high) == (0, pytest.approx(t_interval([1, 0, 3, 0]).high))


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1), st.integers(0, 30)), min_size=2))
def test_no_interval_of_what_is_counted_reaches_below_0(played: list[tuple[int, float, int]]) -> None:
    got = Evaluation(
        tuple(
            Outcome(f"{task}", True, 1.0, turns, valid, Stop.TERMINATED, tool_calls=min(calls, turns))
            for task, (turns, valid, calls) in enumerate(played)
        )
    )
    assert got.tool_calls is not None
    for estimate in (got.turns, got.invalid_actions, got.tool_calls, got.valid_actions):
        assert 0 <= estimate.low <= estimate.value + 1e-9


def test_the_no_op_baseline_is_a_mean_over_tasks_and_missing_where_one_has_none() -> None:
    def noop_reward(*rewards: tuple[str, float | None]) -> float | None:
        outcomes = (Outcome(task, True, 1.0, 1, 1.0, Stop.TERMINATED, noop_reward=value) for task, value in rewards)
        return Evaluation(tuple(outcomes)).noop_reward

    assert noop_reward(("a", 1.0), ("b", 0.0), ("b", 0.0)) == 50
    assert noop_reward(("a", 1.0), ("b", None)) is None


def test_an_evaluation_without_an_episode_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Evaluation(())


def test_tool_calls_are_counted_apart_from_what_is_valid() -> None:
    def result(*calls: int | None) -> Evaluation:
        outcomes = (
            Outcome(f"{n}", False, 0.0, 3, 1.0, Stop.TRUNCATED, tool_calls=count) for n, count in enumerate(calls)
        )
        return Evaluation(tuple(outcomes))

    assert result(None, None).tool_calls is None
    babbling, calling = result(0, 0), result(3, 1, None)
    assert babbling.valid_actions.value == calling.valid_actions.value == 1
    assert babbling.tool_calls is not None
    assert (babbling.tool_calls.value, babbling.tool_calls.low) == (0, 0)
    assert calling.tool_calls is not None
    assert calling.tool_calls.value == pytest.approx(4 / 3)
    for evaluation in (babbling, calling, result(None)):
        record = json.loads(json.dumps(evaluation.record()))
        assert Evaluation.of_record(record) == evaluation
        assert (record["tool_calls_per_episode"] is None) == (evaluation.tool_calls is None)
    for outcome in record["outcomes"]:
        del outcome["tool_calls"]  # as runs of earlier versions have them
    assert Evaluation.of_record(record).tool_calls is None


def reported(task: str, metrics: dict[str, float]) -> Outcome:
    return Outcome(task, False, 0.0, 1, 1.0, Stop.TERMINATED, metrics=metrics)


def test_metrics_are_means_over_the_episodes_that_report_them() -> None:
    outcomes = [reported("a", {"m": 1.0}), reported("a", {"m": 0.0, "rare": 5.0}), reported("b", {"m": 1.0})]
    result = Evaluation((*outcomes, reported("c", {})))
    mean, count = result.metrics["m"]
    assert (mean, count) == (t_interval([0.5, 1.0]), 3)  # the task is the unit, as everywhere
    assert [(name, mean.value, count) for name, (mean, count) in result.metrics.items()][1:] == [("rare", 5.0, 1)]
    record = json.loads(json.dumps(result.record(), allow_nan=False))
    assert record["metrics"]["m"] == mean.record() | {"episodes": 3}
    assert record["metrics"]["rare"] == {"value": 5.0, "low": None, "high": None, "episodes": 1}
    assert Evaluation.of_record(record) == result


@pytest.mark.parametrize("valid", [0.0, 0.25, 1.0])
def test_equal_shares_of_valid_actions_are_no_certainty(valid: float) -> None:
    got = Evaluation(tuple(replace(outcome(task, False), valid=valid) for task in range(20))).valid_actions
    want = stats.binomtest(int(20 * valid), 20).proportion_ci(0.95, "wilson")
    assert (got.value, got.low, got.high) == pytest.approx((valid, want.low, want.high))
