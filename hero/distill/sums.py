"""Weighted sums of learners, whose weights may change in the course of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from hero.distill.base import Example, Learner, Teacher
from hero.distill.options import require
from hero.errors import ConfigError
from hero.types import Diagnosis, Group


class Weighted:
    """Multiplies the weights of a learner's examples, by a constant or by a number that is linear in progress.

    Args:
        start: the factor at the start of the run, at least 0; a factor of 0 leaves no examples.
        end: the factor at its end; None for the same.

    Raises:
        ConfigError: a factor is negative or not finite.
    """

    def __init__(self, learner: Learner, start: float, end: float | None = None) -> None:
        self.learner, self.start, self.end = learner, start, start if end is None else end
        for weight in (self.start, self.end):
            require(0 <= weight < math.inf, "weight", weight, "0 or more, and finite")
        self.min_group_size, self.needs_earlier = min_group_size(learner), needs_earlier(learner)

    def at(self, progress: float) -> Weighted:
        """Returns the learner with the factor of a point of the run, from 0 to 1."""
        return Weighted(at(self.learner, progress), self.start + progress * (self.end - self.start))

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns the learner's examples with the factor of the start."""
        factor = self.start
        if not factor:
            return []
        return [
            replace(
                example,
                policy_gradient=factor * example.policy_gradient,
                cross_entropy=factor * example.cross_entropy,
                distillation=factor * example.distillation,
            )
            for example in self.learner.examples(group, diagnoses)
        ]


class Sum:
    """Learns as several learners do at once: their losses add up.

    Each component of the loss stays one mean over all tokens that carry it. So two learners that have a component in
    common share its mean, in proportion to their tokens.

    Args:
        learners: one or more.

    Raises:
        ConfigError: no learner was given.
    """

    def __init__(self, *learners: Learner) -> None:
        if not learners:
            raise ConfigError("a Sum of 0 learners learns nothing; give at least one")
        self.learners = learners
        self.min_group_size, self.needs_earlier = min_group_size(*learners), needs_earlier(*learners)

    def at(self, progress: float) -> Sum:
        """Returns the sum of the learners at a point of the run, from 0 to 1."""
        return Sum(*(at(learner, progress) for learner in self.learners))

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns the examples of all learners, in the order of the learners."""
        return [example for learner in self.learners for example in learner.examples(group, diagnoses)]


def at(learner: Learner, progress: float) -> Learner:
    """Returns a learner for a point of the run, from 0 to 1; itself if it is the same throughout."""
    return cast("Learner", learner.at(progress)) if hasattr(learner, "at") else learner


def min_group_size(*learners: object) -> int:
    """Returns the smallest number of episodes per task with which each of some learners, or classes, can learn."""
    return max(getattr(learner, "min_group_size", 1) for learner in learners)


def needs_earlier(*learners: Learner) -> bool:
    """Returns whether any of some learners reads earlier successes."""
    return any(getattr(learner, "needs_earlier", False) for learner in learners)


def teacher_of(learner: Learner) -> Teacher | None:
    """Returns the first teacher of a learner or of its parts; None where it has none."""
    if teacher := getattr(learner, "teacher", None):
        return cast("Teacher", teacher)
    inner = getattr(learner, "learner", None)
    parts = [inner] if inner else getattr(learner, "learners", ())
    return next((teacher for part in parts if (teacher := teacher_of(part))), None)
