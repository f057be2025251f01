"""Weighted sums: factors on every weight, linear in progress, and what the parts need."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.learners import GRPO, Distillation
from hero.distill.relatives import KL, Demonstration
from hero.distill.sums import Sum, Weighted, at
from hero.errors import ConfigError
from hero.testing.strategies import diagnosed_groups
from hero.types import Diagnosis, Group, Message, Tokens


class Fixed:
    """A learner of one example with every weight."""

    def examples(self, group: Group, diagnoses: object) -> list[Example]:
        prompt = (Message("user", "?"),)
        return [Example(0, Tokens((1,), (2,), (-0.1,)), prompt, -0.5, 0.25, 2.0, clip=(0.1, 0.2), share=3.0, gate=4.0)]


@settings(max_examples=40)
@given(diagnosed_groups())
def test_a_sum_holds_the_examples_of_each(diagnosed: tuple[Group, list[Diagnosis]]) -> None:
    both = Sum(Distillation(), GRPO()).examples(*diagnosed)
    assert both == Distillation().examples(*diagnosed) + GRPO().examples(*diagnosed)


def test_a_sum_of_no_learners_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Sum()


@settings(max_examples=40)
@given(diagnosed_groups(), st.floats(0, 4), st.floats(0, 4), st.floats(0, 1))
def test_weights_are_linear_in_progress(
    diagnosed: tuple[Group, list[Diagnosis]], start: float, end: float, progress: float
) -> None:
    factor = start + (end - start) * progress
    (whole,) = Fixed().examples(*diagnosed)
    examples = at(Sum(Weighted(Fixed(), start, end)), progress).examples(*diagnosed)
    if factor == 0:
        assert examples == []
        return
    (example,) = examples
    weights = (example.policy_gradient, example.cross_entropy, example.distillation)
    assert weights == pytest.approx((-0.5 * factor, 0.25 * factor, 2 * factor))
    assert replace(example, policy_gradient=-0.5, cross_entropy=0.25, distillation=2.0) == whole


@settings(max_examples=20)
@given(diagnosed_groups(), st.floats(0.01, 4))
def test_a_schedule_has_its_ends_and_a_constant_stays_as_it_is(
    diagnosed: tuple[Group, list[Diagnosis]], weight: float
) -> None:
    fading = Sum(Weighted(Fixed(), weight, 0.0), Weighted(GRPO(), 0.0, 1.0))
    assert at(fading, 0.0).examples(*diagnosed) == Weighted(Fixed(), weight).examples(*diagnosed)
    assert at(fading, 1.0).examples(*diagnosed) == GRPO().examples(*diagnosed)
    constant = Weighted(Fixed(), weight)
    assert at(constant, 0.37).examples(*diagnosed) == constant.examples(*diagnosed)


def test_a_learner_that_is_the_same_throughout_stays_itself() -> None:
    learner = GRPO()
    assert at(learner, 0.5) is learner


def test_a_weighted_learner_of_its_own_schedule_follows_both() -> None:
    class Growing(Fixed):
        def __init__(self, size: int = 0) -> None:
            self.size = size

        def at(self, progress: float) -> Growing:
            return Growing(round(10 * progress))

        def examples(self, group: Group, diagnoses: object) -> list[Example]:
            return super().examples(group, diagnoses) * self.size

    examples = at(Sum(Weighted(Growing(), 0, 1)), 0.5).examples(None, None)  # type: ignore[arg-type]
    assert [example.distillation for example in examples] == [1.0] * 5


@pytest.mark.parametrize("weights", [(-1.0, None), (1.0, -0.1), (float("nan"), None), (0.0, float("inf"))])
def test_a_weight_that_is_not_possible_is_refused(weights: tuple[float, float | None]) -> None:
    with pytest.raises(ConfigError, match=r"weight = .* is not possible"):
        Weighted(GRPO(), *weights)


def test_a_sum_needs_what_its_parts_need() -> None:
    for learner in (Sum(KL(), GRPO()), Sum(Weighted(GRPO(), 0.5)), at(Sum(KL(), Weighted(GRPO(), 0, 1)), 0.5)):
        assert (learner.min_group_size, learner.needs_earlier) == (2, False)  # type: ignore[attr-defined]
    both = Sum(Demonstration(), KL())
    assert (both.min_group_size, both.needs_earlier) == (1, True)
