"""Derived seeds are equal for equal keys, and different for all others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hero.policy import derived_seed

keys = st.tuples(st.integers(0, 2**64), st.lists(st.integers(0, 2**40), max_size=3))


@given(st.lists(keys, unique_by=repr, min_size=2, max_size=10))
def test_every_key_has_a_seed_of_its_own(named: list[tuple[int, list[int]]]) -> None:
    seeds = [derived_seed(seed, *key) for seed, key in named]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [derived_seed(seed, *key) for seed, key in named]
    assert all(0 <= seed < 2**63 for seed in seeds)
