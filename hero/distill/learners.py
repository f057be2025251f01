"""Learners turn episodes and diagnoses into weighted examples. An algorithm is a few lines here, never a trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Annotated, ClassVar, Final

from hero.distill.base import Example, Learner, Teacher
from hero.distill.options import Range, require, require_declared
from hero.distill.teacher import HindsightTeacher
from hero.errors import ConfigError
from hero.types import JSON, Diagnosis, Group, Stop, Tokens, Trajectory

EPSILON: Final = 1e-6
"""Added to the standard deviation of a group's rewards, as usual."""


class Distillation:
    """Pulls each action that the teacher has hindsight on towards the teacher's distribution (2606.11559).

    Args:
        teacher: writes the privileged prompt of a turn.
    """

    def __init__(self, teacher: Teacher | None = None) -> None:
        self.teacher = teacher or HindsightTeacher()

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns an example of weight 1 for each sampled turn that the teacher has something to show about."""
        return [
            Example(episode, tokens, teacher=context, distillation=1.0)
            for episode, (member, diagnosis) in enumerate(zip(group.members, diagnoses, strict=True))
            for turn, tokens in _sampled(member)
            if (context := self.teacher.context(member, turn, diagnosis, _siblings(group, episode)))
        ]


class GRPO:
    """Gives every action of an episode its group-relative advantage (2402.03300, section 4.1.1, outcome supervision).

    Args:
        scale_rewards: whether to divide the centred rewards by the (sample) standard deviation of the group. Without it
            the advantage is only centred, as in Dr. GRPO (2503.20783), and no task counts more for its small spread.
        clip: how far the ratio of the policy gradient may fall below 1 (1707.06347).
        clip_high: how far it may rise above 1 (clip-higher, 2503.14476); None for as far.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {
        "group_size": 8, "reflector": None, "teacher": None, "teacher_weights": None, "divergence": None,
        "turn_gate": None,
    }  # fmt: skip
    min_group_size: ClassVar[int] = 2

    def __init__(
        self,
        *,
        scale_rewards: bool = True,
        clip: Annotated[float, Range(above=0)] = 0.2,
        clip_high: float | None = None,
    ) -> None:
        require_declared(GRPO.__init__, locals())
        require(clip_high is None or clip_high > 0, "clip_high", clip_high, "more than 0")
        self.scale_rewards = scale_rewards
        self.clip = clip, clip if clip_high is None else clip_high

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns one example per sampled turn; none where all rewards are equal, since the advantages are then 0."""
        rewards = [member.reward for member in group.members if member.stop is not Stop.ERROR]
        if len(set(rewards)) < 2:
            return []
        mean, scale = fmean(rewards), stdev(rewards) + EPSILON if self.scale_rewards else 1.0
        return [
            Example(episode, tokens, policy_gradient=(member.reward - mean) / scale, clip=self.clip)
            for episode, member in enumerate(group.members)
            for _, tokens in _sampled(member)
        ]


class Sum:
    """Learns as several learners do at once: their losses add up.

    Args:
        learners: one or more.

    Raises:
        ConfigError: no learner was given.
    """

    def __init__(self, *learners: Learner) -> None:
        if not learners:
            raise ConfigError("a Sum of 0 learners learns nothing; give at least one")
        self.learners = learners

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns the examples of all learners, in the order of the learners."""
        return [example for learner in self.learners for example in learner.examples(group, diagnoses)]


def _siblings(group: Group, episode: int) -> tuple[Trajectory, ...]:
    """Returns all other episodes of the task, those of earlier steps last."""
    return (*group.members[:episode], *group.members[episode + 1 :], *group.earlier)


def _sampled(trajectory: Trajectory) -> Iterator[tuple[int, Tokens]]:
    """Yields the turns to learn from, with their tokens: none of an episode that ended in an error."""
    if trajectory.stop is not Stop.ERROR:
        for index, turn in enumerate(trajectory.turns):
            if turn.action.tokens and turn.action.tokens.action_ids:
                yield index, turn.action.tokens


def group_examples(learner: Learner, pairs: Sequence[tuple[Trajectory, Diagnosis]]) -> list[Example]:
    """Returns a learner's examples of all episodes, with siblings as one group; errors are left out of the groups.

    `episode` of an example is different for all episodes, whatever their group.

    Raises:
        ConfigError: the learner returned something else than examples.
    """
    groups: dict[tuple[str, str, int], list[tuple[Trajectory, Diagnosis]]] = {}
    for trajectory, diagnosis in pairs:
        if trajectory.stop is not Stop.ERROR:
            task = trajectory.env_id, trajectory.task_id, trajectory.seed
            groups.setdefault(task, []).append((trajectory, diagnosis))
    examples: list[Example] = []
    first_episode = 0
    for siblings in groups.values():
        members, diagnoses = zip(*siblings, strict=True)
        learned = learner.examples(Group(members), diagnoses)
        if not (isinstance(learned, Sequence) and all(isinstance(example, Example) for example in learned)):
            raise ConfigError(
                f"the learner {type(learner).__name__} must return a list of Example, not {learned!r:.80}"
            )
        examples += [replace(example, episode=first_episode + example.episode) for example in learned]
        first_episode += len(siblings)
    return examples
