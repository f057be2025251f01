"""Prints how the training of a recipe goes."""

from __future__ import annotations

import time

from rich.console import Console

from hero.warm.recipe import Phase

console, START = Console(), time.perf_counter()


def print_step(phase: Phase, step: int, loss: float, right: float) -> None:
    """Prints a line."""
    seconds = time.perf_counter() - START
    console.print(f"{phase.name}  step {step:5d}  loss {loss:.3f}  right {right:.3f}  {seconds:.0f} s", highlight=False)
