"""Intervals over seeds and tasks together: against the interval of one factor, resampling and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from benchmarks.coverage import Design, covers, crossed_bootstrap
from hero.comparison.crossed import Array, difference_interval, share_interval
from hero.intervals import wilson_interval

shares = arrays(
    float, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])
)


@given(shares)
def test_an_interval_holds_the_mean_within_0_and_1(values_ST: Array) -> None:
    estimate = share_interval(values_ST)
    assert estimate.value == pytest.approx(values_ST.mean())
    if values_ST.size == 1:
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)
    else:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(shares)
def test_an_interval_says_something_even_where_nothing_varies(values_ST: Array) -> None:
    estimate = share_interval(values_ST)
    if values_ST.size > 1:
        assert estimate.high - estimate.low > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_seeds_that_agree_everywhere_count_as_one(share: float) -> None:
    assert share_interval(np.full((5, 100), share)) == wilson_interval(share, 100)


@given(shares)
def test_seeds_and_tasks_play_the_same_part(values_ST: Array) -> None:
    estimate, other = share_interval(values_ST), share_interval(values_ST.T)
    if max(values_ST.mean(axis=0).std(), values_ST.mean(axis=1).std()) > 1e-9:
        assert (estimate.low, estimate.high) == pytest.approx((other.low, other.high))


@given(shares)
def test_the_order_of_seeds_and_tasks_does_not_matter(values_ST: Array) -> None:
    estimate, other = share_interval(values_ST), share_interval(values_ST[::-1, ::-1])
    assert (estimate.low, estimate.high) == pytest.approx((other.low, other.high), nan_ok=True)


@given(shares.flatmap(lambda values: st.tuples(st.just(values), arrays(float, values.shape, elements=st.floats(0, 1)))))
def test_a_difference_is_that_of_the_means_and_changes_sign_with_their_order(pair: tuple[Array, Array]) -> None:
    forth, back = difference_interval(*pair), difference_interval(*pair[::-1])
    assert forth.value == pytest.approx(pair[0].mean() - pair[1].mean())
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), nan_ok=True)
    if pair[0].size > 1:
        assert forth.low <= forth.value <= forth.high


def test_with_many_values_of_one_factor_it_is_the_t_interval() -> None:
    values = np.random.default_rng(0).integers(0, 2, 2000).astype(float)
    want = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    for values_ST in (values[None], values[:, None]):
        got = share_interval(values_ST)
        assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-4)


def test_a_difference_of_one_seed_is_the_paired_t_interval() -> None:
    random = np.random.default_rng(1)
    values, others = random.integers(0, 2, (2, 1, 2000)).astype(float)
    others = np.where(random.random(2000) < 0.5, values, others)  # correlated
    want = stats.ttest_rel(values[0], others[0]).confidence_interval(0.95)
    got = difference_interval(values, others)
    assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-4)


def test_equal_values_have_no_difference_wherever_they_vary() -> None:
    values_ST = np.random.default_rng(2).integers(0, 2, (4, 50)).astype(float)
    difference = difference_interval(values_ST, values_ST)
    assert (difference.low, difference.value, difference.high) == pytest.approx((0, 0, 0), abs=1e-3)


def test_two_that_never_succeed_may_still_differ() -> None:
    difference = difference_interval(np.zeros((3, 100)), np.zeros((3, 100)))
    assert (difference.low, difference.high) == pytest.approx((-0.037, 0.037), abs=1e-3)


def test_the_width_is_about_that_of_resampling_both_factors_where_there_are_many_of_each() -> None:
    random = np.random.default_rng(3)
    design = Design(seeds=60, tasks=80, seed_spread=0.7)
    values_ST = design.draw(0.3, random)
    low, high = crossed_bootstrap(values_ST, 4000, random)
    estimate = share_interval(values_ST)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.015)
    assert high - low > 0.1


@pytest.mark.parametrize(
    "design",
    [
        Design(seeds=5, tasks=100, seed_spread=0.0),
        Design(seeds=5, tasks=100, seed_spread=0.8),
        Design(seeds=3, tasks=50, seed_spread=0.5),
        Design(seeds=1, tasks=100, seed_spread=0.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("level", [-4.0, 0.0])
def test_19_of_20_intervals_cover_the_truth(design: Design, level: float) -> None:
    shares_of = covers(design, level, repetitions=400, replicates=0)
    assert shares_of["success"] >= 0.92
    assert shares_of["difference"] >= 0.92


def test_percentiles_of_resampling_do_not_where_few_seeds_differ() -> None:
    shares_of = covers(Design(seeds=2, tasks=60, seed_spread=1.0), 0.0, repetitions=300, replicates=200)
    assert shares_of["success, bootstrap"] < 0.85 < shares_of["success"]
