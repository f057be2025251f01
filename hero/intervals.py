"""Confidence intervals of shares, means and differences. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, variance
from typing import Final

LEVEL: Final = 0.95
"""Probability that an interval covers the true value."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        low: lower bound; NaN, like `high`, where the data have no spread to estimate: a single task.
    """

    value: float
    low: float
    high: float

    def record(self) -> dict[str, float | None]:
        """Returns plain JSON, with None for NaN."""
        return {name: None if math.isnan(bound) else bound for name, bound in asdict(self).items()}


def wilson_interval(share: float, size: float) -> Estimate:
    """Returns Wilson's score interval of a share of `size` independent trials."""
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    centre = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def t_interval(values: Sequence[float]) -> Estimate:
    """Returns the mean of independent values with Student's t interval; NaN bounds for a single value."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, math.nan, math.nan)
    half = t_quantile(len(values) - 1) * math.sqrt(variance(values) / len(values))
    return Estimate(mean, mean - half, mean + half)


@lru_cache
def t_quantile(freedom: int) -> float:
    """Returns the t that Student's |T| does not exceed with probability `LEVEL`.

    Newton's method on the exact finite series of that probability (Abramowitz and Stegun, 26.7.3 and 26.7.4). The
    probability is concave in t, and the normal quantile is too small: so every step comes nearer from below.

    Args:
        freedom: degrees of freedom, 1 or more.
    """
    log_density = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    t = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    while True:
        density = math.exp(log_density - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (LEVEL - _two_sided_probability(t, freedom)) / (2 * density)
        if t + step <= t or step < 1e-14 * t:
            return t
        t += step


def _two_sided_probability(t: float, freedom: int) -> float:
    """Returns the probability that Student's |T| does not exceed t."""
    sine, cosine = t / math.hypot(t, math.sqrt(freedom)), math.sqrt(freedom) / math.hypot(t, math.sqrt(freedom))
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * power / (power + 1)
    return 2 / math.pi * (math.atan2(sine, cosine) + sine * total) if odd else sine * total


def clamp(estimate: Estimate, maximum: float) -> Estimate:
    """Cuts the interval of a quantity that lies between 0 and `maximum`."""
    if math.isnan(estimate.low):
        return estimate
    return Estimate(estimate.value, max(0.0, estimate.low), min(maximum, estimate.high))


def difference_half_width(a: float, b: float, r: float) -> float:
    """Returns the half width of the interval of a difference.

    Args:
        a: half width of the one interval.
        b: half width of the other.
        r: correlation of the two quantities, -1 to 1.
    """
    return math.sqrt(max(0.0, a * a - 2 * r * a * b + b * b))
