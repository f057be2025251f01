"""Intervals of means, against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hero.intervals import t_interval


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_a_mean_has_the_t_interval(values: list[float]) -> None:
    got = t_interval(values)
    want = stats.ttest_1samp(values, 0.0).confidence_interval(0.95) if len(set(values)) > 1 else None
    if want is None:
        assert got.low == pytest.approx(got.high)
    else:
        assert (got.low, got.high) == pytest.approx((want.low, want.high), abs=1e-6)


def test_one_task_has_no_spread() -> None:
    got = t_interval([0.5])
    assert got.value == 0.5
    assert math.isnan(got.low)
    assert math.isnan(got.high)
    assert got.record() == {"value": 0.5, "low": None, "high": None}
