"""Advantages of turns from groups of equal states within a group of episodes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

from hero.distill.learners import GRPO, Mean, relative_advantages
from hero.distill.options import Range, require, require_declared
from hero.types import Trajectory


class GiGPO(GRPO):
    """Adds to the advantage of an episode that of each turn among all turns from an equal state (2505.10978, eq. 8).

    The value of a turn is its discounted return, and states are equal where the last message of the prompt is. A state
    that was met once has nothing to compare with, so that its turn has the advantage of the episode alone.
    The other options are those of `GRPO`.

    Args:
        weight: weight of the advantage of a turn.
        discount: factor by which each turn of delay lessens a reward.
        scale_rewards: whether to divide both advantages by the (sample) standard deviation of their group.
    """

    def __init__(
        self,
        *,
        weight: Annotated[float, Range(above=0, below=math.inf)] = 1.0,
        discount: float = 0.95,
        scale_rewards: bool = True,
        clip: float = 0.2,
        clip_high: float | None = None,
        mean: Mean = "token",
    ) -> None:
        require_declared(GiGPO.__init__, locals())
        require(0 <= discount <= 1, "discount", discount, "0 to 1")
        super().__init__(scale_rewards=scale_rewards, clip=clip, clip_high=clip_high, mean=mean)
        self.weight, self.discount = weight, discount

    def advantages(self, members: Sequence[Trajectory]) -> list[list[float]]:
        """Returns the advantage of each turn of each episode."""
        advantages = super().advantages(members)
        states: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        for episode, member in enumerate(members):
            for turn, value in enumerate(discounted_returns(member, self.discount)):
                prompt = member.turns[turn].prompt
                states[prompt[-1].content if prompt else ""].append((episode, turn, value))
        for visits in states.values():
            relative = relative_advantages([value for _, _, value in visits], scale=self.scale_rewards)
            for (episode, turn, _), advantage in zip(visits, relative, strict=True):
                advantages[episode][turn] += self.weight * advantage
        return advantages


def discounted_returns(trajectory: Trajectory, discount: float) -> list[float]:
    """Returns for each turn its reward and all later ones, each times the discount to the power of its delay."""
    returns: list[float] = []
    for turn in reversed(trajectory.turns):
        returns.append(turn.reward + discount * (returns[-1] if returns else 0.0))
    return returns[::-1]
