"""Learners turn episodes and diagnoses into weighted examples. An algorithm is a few lines here, never a trainer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import fmean, stdev
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, TypeVar

from hero.distill.base import Example, Learner, Teacher
from hero.distill.options import Range, require, require_declared
from hero.distill.teacher import HindsightTeacher
from hero.distill.turns import finding_about, sampled_turns, siblings_of
from hero.errors import ConfigError
from hero.types import JSON, Diagnosis, Finding, Group, Stop, Trajectory, Verdict

T = TypeVar("T")
EPSILON: Final = 1e-6
"""Added to the standard deviation of a group's rewards, as usual."""
Mean: TypeAlias = Literal["token", "episode"]
TaskKey: TypeAlias = tuple[str, str]
"""A task: `env_id` and `task_id` of its episodes."""


class Base:
    """Learns nothing: the policy as it was at the start, to compare others with."""

    defaults: ClassVar[Mapping[str, JSON]] = {"steps": 0, "turn_budget": None, "reflector": None}

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns no examples."""
        return []


class Distillation:
    """Pulls each action that the teacher has hindsight on towards the teacher's distribution (2606.11559).

    Args:
        teacher: writes the privileged prompt of a turn.
        gate: steepness of a sigmoid that weighs each token by how much likelier the teacher finds it than the student
            (`Example.gate`); None for equal weights.
        praise: the episodes whose turns count where a finding calls them useful: those with `success`, since a weak
            reviewer praises much of what failed, or `all`.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"teacher_weights": "ema"}

    def __init__(
        self,
        teacher: Teacher | None = None,
        *,
        gate: float | None = None,
        praise: Literal["all", "success"] = "success",
    ) -> None:
        require_declared(Distillation.__init__, locals())
        require(gate is None or 0 < gate < math.inf, "gate", gate, "a finite number of more than 0, or None")
        self.teacher = teacher or HindsightTeacher()
        self.gate = gate
        self.praise = praise

    @property
    def needs_earlier(self) -> bool:
        """True if the teacher shows earlier successes."""
        return getattr(self.teacher, "needs_earlier", False)

    def selects(self, trajectory: Trajectory, finding: Finding | None) -> bool:
        """Returns whether a turn with this finding is to be distilled, if the teacher has hindsight on it."""
        praised = finding is not None and finding.verdict is Verdict.USEFUL
        return trajectory.success or self.praise == "all" or not praised

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns an example of weight 1 for each sampled turn that the teacher has something to show about."""
        shown = getattr(self.teacher, "shown", lambda turn, diagnosis: None)
        return [
            Example(episode, tokens, teacher=context, distillation=1.0, gate=self.gate, finding=shown(turn, diagnosis))
            for episode, (member, diagnosis) in enumerate(zip(group.members, diagnoses, strict=True))
            for turn, tokens in sampled_turns(member)
            if self.selects(member, finding_about(diagnosis, turn))
            and (context := self.teacher.context(member, turn, diagnosis, siblings_of(group, episode)))
        ]


class GRPO:
    """Gives every action of an episode its group-relative advantage (2402.03300, section 4.1.1, outcome supervision).

    Dr. GRPO (2503.20783) is `scale_rewards=False`, but for its constant denominator: here it is the number of tokens
    whose advantage is not 0. DAPO (2503.14476) is `clip_high=0.28`, but for its dynamic sampling, which replaces groups
    of equal rewards (here they give no examples), and its penalty on long answers. Each update is one step on what was
    just sampled, so that the ratio differs from 1, and a clip matters, only where sampler and trainer compute
    otherwise: in half precision, or with a server.

    Args:
        scale_rewards: whether to divide the centred rewards by the (sample) standard deviation of the group. Without it
            the advantage is only centred, as in Dr. GRPO (2503.20783), and no task counts more for its small spread.
        clip: how far the ratio of the policy gradient may fall below 1 (1707.06347).
        clip_high: how far it may rise above 1 (clip-higher, 2503.14476); None for as far.
        mean: `token`, the mean of the loss over all tokens whose advantage is not 0, or `episode`, the mean over
            episodes of their own means, as in 2402.03300, with which the tokens of a short episode count more.
    """

    defaults: ClassVar[Mapping[str, JSON]] = {"group_size": 8, "reflector": None}
    min_group_size: ClassVar[int] = 2

    def __init__(
        self,
        *,
        scale_rewards: bool = True,
        clip: Annotated[float, Range(above=0)] = 0.2,
        clip_high: float | None = None,
        mean: Mean = "token",
    ) -> None:
        require_declared(GRPO.__init__, locals())
        require(clip_high is None or clip_high > 0, "clip_high", clip_high, "more than 0, or None")
        self.scale_rewards = scale_rewards
        self.clip = clip, clip if clip_high is None else clip_high
        self.mean = mean

    def advantages(self, members: Sequence[Trajectory]) -> list[list[float]]:
        """Returns the advantage of each turn of each episode."""
        relative = relative_advantages([member.reward for member in members], scale=self.scale_rewards)
        return [[advantage] * len(member.turns) for member, advantage in zip(members, relative, strict=True)]

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns one example per sampled turn; none where all advantages are 0, as those of equal rewards are."""
        members = {episode: member for episode, member in enumerate(group.members) if member.stop is not Stop.ERROR}
        advantages = dict(zip(members, self.advantages(list(members.values())), strict=True))
        if not any(chain.from_iterable(advantages.values())):
            return []
        return [
            Example(
                episode,
                tokens,
                policy_gradient=advantages[episode][turn],
                clip=self.clip,
                share=share(member, self.mean),
            )
            for episode, member in members.items()
            for turn, tokens in sampled_turns(member)
        ]


def share(member: Trajectory, mean: Mean) -> float:
    """Returns the weight of each token of an episode in a mean over tokens, or over episodes of their own means."""
    if mean == "token":
        return 1.0
    return 1 / sum(len(tokens.action_ids) for _, tokens in sampled_turns(member))


def relative_advantages(values: Sequence[float], *, scale: bool) -> list[float]:
    """Returns each value less the mean of all; 0 for each where all are equal.

    Args:
        scale: whether to divide by the sample standard deviation.
    """
    if len(set(values)) < 2:
        return [0.0] * len(values)
    mean, deviation = fmean(values), stdev(values) + EPSILON if scale else 1.0
    return [(value - mean) / deviation for value in values]


def successes(trajectories: Iterable[Trajectory]) -> dict[TaskKey, Trajectory]:
    """Returns the last successful episode of each task, for `group_examples` of later steps."""
    return {(each.env_id, each.task_id): each for each in trajectories if each.success}


def task_groups(
    items: Iterable[T], trajectory_of: Callable[[T], Trajectory], earlier: Mapping[TaskKey, Trajectory]
) -> Iterator[tuple[Group, list[T]]]:
    """Yields the episodes of each task and seed as a group, with their items in the order of its members.

    Episodes that ended in an error are left out.

    Args:
        trajectory_of: returns the episode of an item.
        earlier: a successful episode of earlier steps for some of the tasks.
    """
    tasks: dict[tuple[str, str, int], list[T]] = {}
    for item in items:
        trajectory = trajectory_of(item)
        if trajectory.stop is not Stop.ERROR:
            tasks.setdefault((trajectory.env_id, trajectory.task_id, trajectory.seed), []).append(item)
    for (env_id, task_id, _), siblings in tasks.items():
        success = earlier.get((env_id, task_id))
        yield Group(tuple(map(trajectory_of, siblings)), (success,) if success else ()), siblings


def group_examples(
    learner: Learner,
    pairs: Sequence[tuple[Trajectory, Diagnosis]],
    earlier: Mapping[TaskKey, Trajectory] | None = None,
) -> list[Example]:
    """Returns a learner's examples of all episodes, with siblings as one group; errors are left out of the groups.

    `episode` of an example is different for all episodes, whatever their group.

    Args:
        earlier: a successful episode of earlier steps for some of the tasks.

    Raises:
        ConfigError: the learner returned something else than examples.
    """
    examples: list[Example] = []
    first_episode = 0
    for group, siblings in task_groups(pairs, lambda pair: pair[0], earlier or {}):
        learned = learner.examples(group, [diagnosis for _, diagnosis in siblings])
        if not (isinstance(learned, Sequence) and all(isinstance(example, Example) for example in learned)):
            raise ConfigError(
                f"the learner {type(learner).__name__} must return a list of Example, not {learned!r:.80}"
            )
        examples += [replace(example, episode=first_episode + example.episode) for example in learned]
        first_episode += len(siblings)
    return examples
