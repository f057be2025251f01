"""Confidence intervals of means over seeds and tasks together, where every seed is evaluated on the same tasks.

Seeds and tasks are both samples, of the trainings and of the tasks that there could have been, and they are crossed: a
task that is easy is easy for every seed. So the variance of the mean is that of a mean over seeds plus that of a mean
over tasks; the residual of single episodes is in both and so counted twice, which errs on the safe side (two-way
clustering: Cameron, Gelbach and Miller 2011, without the term that they subtract). Student's t has the degrees of
freedom of Satterthwaite (1946): close to those of the seeds where these differ, of the tasks where seeds agree.

Resampling both (the pigeonhole bootstrap: McCullagh 2000, Owen 2007) estimates the same variance, but its percentiles
are too close together with few seeds; `python -m benchmarks.coverage` compares the two.

Shapes: S seeds, T tasks.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hero.intervals import NORMAL_QUANTILE, Estimate, paired_difference, t_quantile, wilson_interval

Array: TypeAlias = NDArray[np.float64]


def share_interval(values_ST: Array) -> Estimate:
    """Returns the mean of values from 0 to 1 with Wilson's interval for a sample of the same variance.

    The sample is the effective one, p (1 - p) over the variance of the mean, of at most S T trials. Where no mean
    varies, as at 0 of N, it is the T tasks: seeds that agree everywhere may be no independent trials. With one seed the
    interval covers other tasks, not other seeds. NaN bounds for a single value.
    """
    share, seeds, tasks = float(values_ST.mean()), *values_ST.shape
    if values_ST.size < 2:
        return Estimate(share, math.nan, math.nan)
    variance, quantile = _spread(values_ST)
    if variance == 0:
        return wilson_interval(share, tasks)
    return wilson_interval(share, min(share * (1 - share) / variance, seeds * tasks), quantile)


def difference_interval(values_ST: Array, others_ST: Array) -> Estimate:
    """Returns the difference of two means of values from 0 to 1, paired by seed and by task: the first minus the other.

    The interval combines those of the means by the correlation of the means (MOVER: Zou and Donner 2008).
    """
    mean, other = share_interval(values_ST), share_interval(others_ST)
    (variance, _), (other_variance, _) = _spread(values_ST), _spread(others_ST)
    correlation = 0.0
    if variance and other_variance:
        shared = variance + other_variance - _spread(values_ST - others_ST)[0]
        correlation = max(-1.0, min(1.0, shared / (2 * math.sqrt(variance * other_variance))))
    return paired_difference(mean, other, correlation)


def _spread(values_ST: Array) -> tuple[float, float]:
    """Returns the variance of the mean, and the quantile of Student's t for an interval of it."""
    parts = [
        (float(means.var(ddof=1)) / len(means), len(means) - 1)
        for means in (values_ST.mean(axis=1), values_ST.mean(axis=0))
        if len(means) > 1
    ]
    # Means of equal values differ by rounding.
    variance = sum(part for part, _ in parts)
    if variance < np.finfo(float).eps ** 2:
        return 0.0, NORMAL_QUANTILE
    return variance, t_quantile(variance**2 / sum(part**2 / degrees for part, degrees in parts))
