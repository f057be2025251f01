"""The data and the protocols of distillation: no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hero.policy import Policy
from hero.types import Diagnosis, Group, Message, Tokens, Trajectory


@dataclass(frozen=True, slots=True)
class Example:
    """One action to learn from, with a weight for each term of the loss; learners add up as lists of these.

    Attributes:
        episode: examples of one episode carry the same number, so that a trainer may score them together.
        tokens: the action and the prompt that it was sampled in.
        teacher: the privileged prompt whose distribution the action's tokens are pulled towards; None unless
            `distillation` is non-zero.
        policy_gradient: the advantage of the action's tokens, at the temperature that they were sampled at; the other
            terms are of the model as it is, at temperature 1.
        cross_entropy: weight of the negative log-likelihood of the action's tokens.
        distillation: weight of the divergence between student and teacher on the action's tokens.

    Raises:
        ValueError: a distillation weight without a teacher prompt, or a teacher prompt without the weight.
    """

    episode: int
    tokens: Tokens
    teacher: tuple[Message, ...] | None = None
    policy_gradient: float = 0.0
    cross_entropy: float = 0.0
    distillation: float = 0.0

    def __post_init__(self) -> None:
        if (self.teacher is None) != (self.distillation == 0.0):
            raise ValueError("a distillation weight and a teacher prompt go together")


class Teacher(Protocol):
    """Writes the privileged prompt of a turn: pure text."""

    def context(self, trajectory: Trajectory, turn: int, diagnosis: Diagnosis) -> tuple[Message, ...] | None:
        """What the teacher is shown before it scores the action of the turn; None where it has nothing to add."""
        ...


class Learner(Protocol):
    """Turns a group of episodes and their diagnoses into weighted examples: pure, no torch.

    A class may bring two attributes along. `defaults` maps settings of `hero run` whose defaults are others with this
    learner to these, and to None a setting that it has no use for. `min_group_size` is the least number of episodes
    per task that it can learn from.
    """

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        """The examples of one group, `episode` numbered by member; empty where nothing carries signal.

        Turns without tokens (from a policy that samples none) and members that ended in an error give none.
        """
        ...


class Trainer(Protocol):
    """Owns the weights."""

    def policy(self, *, temperature: float) -> Policy:
        """A policy on the current weights (no copy).

        Args:
            temperature: of sampling; 0 is greedy.
        """
        ...

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        """One optimiser step; returns its metrics. Does not step where no example carries weight."""
        ...

    def save(self, path: Path) -> None:
        """Writes all that `load` needs to go on exactly as if never stopped, into a new directory."""
        ...

    def load(self, path: Path) -> None:
        """Takes up the state that `save` wrote."""
        ...
