"""Count how often 95 % intervals over seeds and tasks together cover the truth, on simulated runs whose truth is known.

    python -m benchmarks.coverage [--quick]

An episode of seed s on task t succeeds with probability logistic(level + task effect + seed effect); both effects are
normal. Two cells share the tasks, and the other has a level that is higher by 1. Compares the intervals of
`hero.comparison.crossed` with the percentiles of resampling seeds and tasks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import typer
from rich.console import Console
from scipy.special import expit
from scipy.stats import norm

from hero.comparison.crossed import Array, difference_interval, share_interval

TASK_SPREAD: Final = 1.5
"""Standard deviation of the task effect."""


@dataclass(frozen=True, slots=True)
class Design:
    """The size of a comparison, and the standard deviation of the seed effect."""

    seeds: int
    tasks: int
    seed_spread: float

    def draw(self, level: float, random: np.random.Generator, effects_T: Array | None = None) -> Array:
        """Draws episodes [S, T], each 0 or 1."""
        effects_T = self.task_effects(random) if effects_T is None else effects_T
        effects_S1 = random.normal(0, self.seed_spread, (self.seeds, 1))
        chance_ST = expit(level + effects_T + effects_S1)
        return (random.random(chance_ST.shape) < chance_ST).astype(float)

    def task_effects(self, random: np.random.Generator) -> Array:
        """Draws the effects of the tasks [T]."""
        return random.normal(0, TASK_SPREAD, self.tasks)

    def truth(self, level: float) -> float:
        """Returns the mean success over all seeds and tasks that there could be."""
        effects = np.hypot(TASK_SPREAD, self.seed_spread) * norm.ppf((np.arange(20_000) + 0.5) / 20_000)
        return float(expit(level + effects).mean())


def crossed_bootstrap(values_ST: Array, replicates: int, random: np.random.Generator) -> tuple[float, float]:
    """Returns the 2.5 and the 97.5 % percentile of the mean, seeds and tasks both drawn with replacement."""
    weights = [random.multinomial(size, np.full(size, 1 / size), replicates) / size for size in values_ST.shape]
    means = ((weights[0] @ values_ST) * weights[1]).sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def covers(design: Design, level: float, repetitions: int, replicates: int, seed: int = 0) -> dict[str, float]:
    """Returns the share of intervals that cover the truth, by what they are of.

    Args:
        replicates: bootstrap replicates; 0 leaves the bootstrap out.
    """
    random = np.random.default_rng(seed)
    truth = design.truth(level)
    gain = design.truth(level + 1) - truth
    covered: Counter[str] = Counter()
    for _ in range(repetitions):
        effects_T = design.task_effects(random)
        base_ST, other_ST = (design.draw(each, random, effects_T) for each in (level, level + 1))
        success, difference = share_interval(base_ST), difference_interval(other_ST, base_ST)
        bounds = {
            "success": (truth, success.low, success.high),
            "difference": (gain, difference.low, difference.high),
        }
        if replicates:
            bounds["success, bootstrap"] = (truth, *crossed_bootstrap(base_ST, replicates, random))
            bounds["difference, bootstrap"] = (gain, *crossed_bootstrap(other_ST - base_ST, replicates, random))
        covered.update(name for name, (true, low, high) in bounds.items() if low <= true <= high)
        covered.update(dict.fromkeys(bounds, 0))
    return {name: count / repetitions for name, count in covered.items()}


def main(quick: Annotated[bool, typer.Option("--quick", help="Take less than a minute.")] = False) -> None:
    """Prints a Markdown table of coverages."""
    console = Console(highlight=False, soft_wrap=True)
    names = ["success", "success, bootstrap", "difference", "difference, bootstrap"]
    console.print(f"| seeds | tasks | spread of seeds | true success | {' | '.join(names)} |")
    console.print("|" + "---|" * (4 + len(names)))
    for seeds, seed_spread in ((1, 0.0), (2, 0.5), (3, 0.5), (5, 0.0), (5, 0.5), (5, 1.0)):
        for level in (-4.0, 0.0):
            design = Design(seeds, 100, seed_spread)
            shares = covers(design, level, repetitions=100 if quick else 2000, replicates=400)
            coverages = [f"{100 * shares[name]:.1f} %" for name in names]
            row = [str(seeds), "100", f"{seed_spread:g}", f"{100 * design.truth(level):.0f} %", *coverages]
            console.print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    typer.run(main)
