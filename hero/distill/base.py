"""The data and the protocols of learning: no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hero.policy import Policy
from hero.types import Diagnosis, Finding, Group, Message, Tokens, Trajectory


@dataclass(frozen=True, slots=True)
class Example:
    """One action to learn from, with a weight for each component of the loss; lists of examples add up.

    Attributes:
        episode: number of the episode; a trainer may score all examples of one episode together.
        tokens: the action and the prompt that it was sampled in.
        teacher: the privileged prompt whose distribution the action's tokens are pulled towards; None unless
            `distillation` is non-zero.
        policy_gradient: the advantage of the action's tokens. This component alone is taken at the temperature of
            sampling; the others are taken at temperature 1.
        cross_entropy: weight of the negative log-likelihood of the action's tokens.
        distillation: weight of the divergence between student and teacher on the action's tokens.
        clip: how far the ratio of the policy gradient may fall below 1 and rise above 1 (1707.06347; two different
            numbers are the clip-higher of 2503.14476).
        share: how much a token of this action counts in the mean of its components: each is the sum over all tokens of
            share * weight * loss, divided by the sum of the shares. 1 for all is the mean over tokens; one over the
            number of tokens of the episode is the mean over episodes of their own means.
        gate: steepness s of a sigmoid that weighs each distilled token by sigmoid(s (log p teacher - log p student)), a
            constant (2605.15155); None for no such weight.
        finding: the finding that the teacher is shown, so that the trainer can measure whether the teacher follows it,
            and leave the action out where it does not; None for hindsight of another kind.

    Raises:
        ValueError: a distillation weight without a teacher prompt, or a teacher prompt without the weight.
    """

    episode: int
    tokens: Tokens
    teacher: tuple[Message, ...] | None = None
    policy_gradient: float = 0.0
    cross_entropy: float = 0.0
    distillation: float = 0.0
    clip: tuple[float, float] = (0.2, 0.2)
    share: float = 1.0
    gate: float | None = None
    finding: Finding | None = None

    def __post_init__(self) -> None:
        if (self.teacher is None) != (self.distillation == 0.0):
            raise ValueError("a distillation weight and a teacher prompt go together")


class Teacher(Protocol):
    """Writes the privileged prompt of a turn; a pure function of text.

    A teacher that shows findings may have a method `shown(turn, diagnosis)`, which returns the finding about a turn,
    without advice that it does not show, or None where it shows nothing of it: only by that can the trainer measure
    whether the teacher follows it. One that shows earlier successes has `needs_earlier`, as a `Learner` does.
    """

    def context(
        self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis, siblings: Sequence[Trajectory] = ()
    ) -> tuple[Message, ...] | None:
        """Returns the prompt after which the teacher scores the action of a turn; None where it has nothing to add.

        Args:
            siblings: other episodes of the same task: first the other members of the group, then those of
                `Group.earlier`, the newest first.
        """
        ...


class Learner(Protocol):
    """Turns a group of episodes and their diagnoses into weighted examples; a pure function, without torch.

    A class may bring attributes along. `defaults` maps settings of `hero run` to the defaults that they have with this
    learner, and to None a setting that it has no use for. `min_group_size` is the smallest number of episodes per task
    that it can learn from. `idle_with` maps settings to values with which it does nothing. `needs_earlier` is whether
    it reads `Group.earlier`, which is empty otherwise. It may also have a method `at(progress)`, which returns the
    learner for a point of the run between 0, the start, and 1, the end; a run calls it once per step.
    """

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """Returns the examples of one group, `episode` the index of the member; empty where nothing carries signal.

        Turns without tokens (of a policy that samples none) and members that ended in an error give no example.
        """
        ...


class Trainer(Protocol):
    """Owns the weights of a model and updates them."""

    def policy(self, *, temperature: float) -> Policy:
        """Returns a policy on the current weights (no copy).

        Args:
            temperature: the sampling temperature; 0 is greedy.
        """
        ...

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """Takes one optimiser step and returns its metrics; takes none where no example carries weight."""
        ...

    def save(self, path: Path) -> None:
        """Writes the state with which `load` goes on exactly as if never stopped, into a new directory."""
        ...

    def load(self, path: Path) -> None:
        """Restores the state that `save` wrote."""
        ...
