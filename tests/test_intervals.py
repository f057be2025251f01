"""Intervals of means, against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hero.intervals import Estimate, paired_difference, t_interval, wilson_interval


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_a_mean_has_the_t_interval(values: list[float]) -> None:
    got = t_interval(values)
    want = stats.ttest_1samp(values, 0.0).confidence_interval(0.95) if len(set(values)) > 1 else None
    if want is None:
        assert got.low == pytest.approx(got.high)
    else:
        assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-6)


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_a_share_is_within_its_wilson_interval_which_is_within_0_and_1(size: int, wins: int) -> None:
    share = min(wins, size) / size
    estimate = wilson_interval(share, size)
    assert 0 <= estimate.low <= share <= estimate.high <= 1
    assert wilson_interval(0.0, size).low == 0
    assert wilson_interval(1.0, size).high == 1


def test_one_task_has_no_spread() -> None:
    got = t_interval([0.5])
    assert got.value == 0.5
    assert math.isnan(got.low)
    assert math.isnan(got.high)
    assert got.record() == {"value": 0.5, "low": None, "high": None}


def test_a_difference_of_what_has_no_spread_has_none() -> None:
    single, known = t_interval([0.5]), Estimate(0.2, 0.1, 0.3)
    for new, old in ((single, known), (known, single), (single, single)):
        got = paired_difference(new, old, 0.0)
        assert got.value == new.value - old.value
        assert math.isnan(got.low)
        assert math.isnan(got.high)
