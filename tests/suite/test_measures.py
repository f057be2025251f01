"""Measures of scores and their differences, against other ways to compute them."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.evaluation import Evaluation, difference
from hero.intervals import t_interval, wilson_interval
from hero.outcomes import Outcome
from hero.suite.items import ALL
from hero.suite.measures import Score, compare, measure, worsened
from hero.types import Stop

SCORES = st.lists(
    st.builds(
        Score, st.sampled_from("ab"), st.just(""), st.floats(0, 50), st.integers(1, 9), st.just("x"), st.booleans()
    ),
    min_size=1,
    max_size=30,
)


@given(SCORES)
def test_each_kind_is_measured_by_itself_and_all_kinds_together(scores: list[Score]) -> None:
    measured = measure(scores)
    kinds = dict.fromkeys(score.kind for score in scores)
    assert list(measured) == [*kinds, *([ALL] if len(kinds) > 1 else [])]
    for kind, own in measured.items():
        members = [score for score in scores if kind in (score.kind, ALL)]
        tokens = sum(score.tokens for score in members)
        assert (own.items, own.tokens) == (len(members), tokens)
        assert own.nats.value == pytest.approx(sum(score.nats for score in members) / tokens)
        assert own.perplexity.value == pytest.approx(math.exp(own.nats.value))
        assert own.exact == wilson_interval(fmean(bool(score.exact) for score in members), len(members))
        assert own.well_formed is None


@given(SCORES)
def test_replies_of_equal_length_weigh_the_same(scores: list[Score]) -> None:
    scores = [replace(score, tokens=4, kind="a") for score in scores]
    got, want = measure(scores)["a"].nats, t_interval([score.nats / 4 for score in scores])
    assert (got.value, got.low, got.high) == pytest.approx((want.value, want.low, want.high), nan_ok=True, abs=1e-9)


@given(SCORES, st.data())
def test_a_difference_is_that_of_the_measures_and_pairs_the_items(before: list[Score], data: st.DataObject) -> None:
    after = [replace(score, nats=data.draw(st.floats(0, 50)), exact=data.draw(st.booleans())) for score in before]
    for kind, got in compare(after, before).items():
        new, old = measure(after)[kind], measure(before)[kind]
        assert got.nats.value == pytest.approx(new.nats.value - old.nats.value, abs=1e-9)
        evaluations = [
            Evaluation(
                tuple(
                    Outcome(f"{index}", bool(score.exact), 0.0, 1, 1.0, Stop.TERMINATED)
                    for index, score in enumerate(scores)
                    if kind in (score.kind, ALL)
                )
            )
            for scores in (after, before)
        ]
        assert got.exact == difference(evaluations[0], evaluations[1], "success")
    shifted = [replace(score, nats=score.nats + 0.5 * score.tokens) for score in before]
    for got in compare(shifted, before).values():
        assert got.nats.value == pytest.approx(0.5)
        assert got.items == 1 or (got.nats.low, got.nats.high) == pytest.approx((0.5, 0.5), abs=1e-6)


def test_what_got_worse_with_its_whole_interval_is_named() -> None:
    before = [Score("a", "", 4.0 + index % 2, 4, "x", True, True) for index in range(20)]
    assert worsened(compare(before, before)["a"]) == []
    worse = [replace(score, nats=score.nats + 1 + index % 3) for index, score in enumerate(before)]
    assert worsened(compare(worse, before)["a"]) == ["nats"]
    assert worsened(compare(before, worse)["a"]) == []
    forgotten = [replace(score, exact=False, well_formed=False) for score in before]
    assert worsened(compare(forgotten, before)["a"]) == ["exact", "well_formed"]
    assert worsened(compare([*forgotten[:1], *before[1:]], before)["a"]) == []  # one item says nothing
    assert worsened(compare(worse[:1], before[:1])["a"]) == []  # one item has no interval


def test_a_kind_without_a_form_has_no_share_of_it_and_a_text_no_replies() -> None:
    text = Score("text", "", 8.0, 4)
    measures = measure([text, Score("a", "", 1.0, 1, "x", True, None), Score("a", "", 1.0, 1, "x", False, False)])
    assert measures["text"].record() == {
        "items": 1,
        "tokens": 4,
        "nats": {"value": 2.0, "low": None, "high": None},
        "exact": None,
        "well_formed": None,
    }
    assert measures["a"].well_formed == wilson_interval(0.0, 1)
    assert measures[ALL].exact == wilson_interval(0.5, 2)
