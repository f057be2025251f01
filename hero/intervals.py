"""Confidence intervals of shares, means and differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, fmean, variance
from typing import Final

LEVEL: Final = 0.95
"""Probability that an interval covers the true value."""
NORMAL_QUANTILE: Final = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Half width of an interval in standard errors, where the standard error is known."""


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


def wilson_interval(share: float, size: float, z: float = NORMAL_QUANTILE) -> Estimate:
    """Returns Wilson's score interval of a share of `size` independent trials.

    Args:
        z: half width in standard errors; that of Student's t where `size` was estimated from few values.
    """
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


def ratio_interval(totals: Sequence[float], sizes: Sequence[float]) -> Estimate:
    """Returns the sum of totals over the sum of sizes, with the t interval of a ratio estimator; NaN bounds for one.

    It is the mean of a unit, such as a token, where units come in independent clusters, such as texts, and clusters are
    of different sizes (Cochran 1977, "Sampling Techniques", section 6.3).

    Args:
        totals: sum over the units of each cluster.
        sizes: number of units of each cluster, more than 0.
    """
    count, units = len(totals), sum(sizes)
    ratio = sum(totals) / units
    if count < 2:
        return Estimate(ratio, math.nan, math.nan)
    squares = sum((total - ratio * size) ** 2 for total, size in zip(totals, sizes, strict=True))
    half = t_quantile(count - 1) * math.sqrt(count / (count - 1) * squares) / units
    return Estimate(ratio, ratio - half, ratio + half)


def t_quantile(degrees: float) -> float:
    """Returns the half width of Student's t interval in standard errors.

    Args:
        degrees: degrees of freedom; more than 0.
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + LEVEL / 2))


def clamp(estimate: Estimate, maximum: float) -> Estimate:
    """Cuts the interval of a quantity that lies between 0 and `maximum`."""
    if math.isnan(estimate.low):
        return estimate
    return Estimate(estimate.value, max(0.0, estimate.low), min(maximum, estimate.high))


def paired_difference(new: Estimate, old: Estimate, r: float) -> Estimate:
    """Returns `new` minus `old`, with an interval from both intervals (MOVER, Zou and Donner 2008).

    For shares with Wilson's intervals that is Newcombe's (1998) score interval, for means of pairs the paired t
    interval.

    Args:
        r: correlation of the two quantities, -1 to 1; 0 where they are independent.
    """
    gain = new.value - old.value
    return Estimate(
        gain,
        gain - _half_width(new.value - new.low, old.high - old.value, r),
        gain + _half_width(new.high - new.value, old.value - old.low, r),
    )


def _half_width(a: float, b: float, r: float) -> float:
    return math.sqrt(max(a * a - 2 * r * a * b + b * b, 0.0))  # in this order NaN stays NaN
