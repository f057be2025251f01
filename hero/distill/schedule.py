"""The learning rate of each step."""

from __future__ import annotations

from dataclasses import dataclass

from hero.distill.options import require
from hero.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LinearSchedule:
    """A learning rate that rises linearly to its peak, and then falls linearly to 0.

    Attributes:
        warmup_steps: number of steps over which the rate rises.
        decay_steps: number of steps after which the rate is 0; None for a rate that does not fall.

    Raises:
        ConfigError: `decay_steps` leaves no step after the warm-up.
    """

    peak: float
    warmup_steps: int
    decay_steps: int | None

    def __post_init__(self) -> None:
        enough = self.decay_steps is None or self.decay_steps > self.warmup_steps
        require(enough, "decay_steps", self.decay_steps, "more than warmup_steps")

    def rate(self, updates: int) -> float:
        """Returns the learning rate of the next step after `updates` steps.

        Raises:
            ConfigError: all of `decay_steps` are taken.
        """
        factor = 1.0
        if self.warmup_steps:
            factor = min(factor, (updates + 1) / self.warmup_steps)
        if self.decay_steps is not None:
            if updates >= self.decay_steps:
                raise ConfigError(f"all of decay_steps = {self.decay_steps} are taken; give more, or None")
            factor = min(factor, (self.decay_steps - updates) / (self.decay_steps - self.warmup_steps))
        return factor * self.peak
