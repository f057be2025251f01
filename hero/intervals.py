"""Means with their confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, variance
from typing import Final

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        low: NaN, like `high`, where the data do not say: one task has no spread.
    """

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float | None]:
        """As plain JSON, which has no NaN."""
        return {name: None if math.isnan(number) else number for name, number in asdict(self).items()}


def wilson_interval(share: float, size: float) -> Estimate:
    """Wilson's score interval of a share of `size` independent trials."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def t_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent values with Student's t interval; NaN bounds for a single value."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2)) * math.sqrt(variance(values) / len(values))
    return Estimate(mean, mean - half, mean + half)


def clamp(mean: Estimate, most: float) -> Estimate:
    """Returns an estimate of a quantity that lies between 0 and `most`."""
    return mean if math.isnan(mean.low) else Estimate(mean.value, max(0.0, mean.low), min(most, mean.high))


def difference_half_width(a: float, b: float, r: float) -> float:
    """Returns the half width of the interval of a difference.

    Args:
        a: half width of the one interval.
        b: half width of the other.
        r: correlation of the two quantities, -1 to 1.
    """
    return math.sqrt(max(0.0, a * a - 2 * r * a * b + b * b))
