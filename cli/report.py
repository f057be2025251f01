"""What a finished run is told to have come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .terminal import estimate


def report(console: Console, path: Path, summary: Mapping[str, Any], timings: Sequence[Mapping[str, Any]]) -> None:
    """Success and score at the start and at the end, where the time went, and what to type next."""
    console.print(outcome_table(summary))
    console.print(time_table(timings))
    console.print(f"\nrun directory  {path}", markup=False)
    console.print(f"learning curve {path / 'curve.png'}", markup=False)
    console.print(f"next           hero eval {path} --split test", markup=False)


def outcome_table(summary: Mapping[str, Any]) -> Table:
    """Start, end and difference, each with its 95 % interval."""
    table = Table(
        "", "start", "end", "difference", box=None, pad_edge=False, header_style="dim", title_justify="left",
        title=f"\nvalidation after {summary['steps']} steps, {summary['turns']} environment turns (95 % intervals)",
    )  # fmt: skip
    for measure, percent in (("success", True), ("score", False), ("turns_per_episode", False)):
        for mode in ("sampled", "greedy"):
            found = summary[mode]
            ends = (estimate(found[when][measure], percent=percent) for when in ("start", "end"))
            gain = estimate(found["gain"][measure], percent=percent, signed=True)
            table.add_row(f"{measure.replace('_', ' ')}, {mode}", *ends, gain)
        if measure == "score" and summary["noop_reward"] is not None:
            table.add_row("score, no-op baseline", f"{summary['noop_reward']:.1f}")
    return table


def time_table(timings: Sequence[Mapping[str, Any]]) -> Table:
    """Wall-clock seconds by phase, per step and in all, and as a share of the whole."""
    phases = ("rollout", "reflection", "update", "evaluation")
    seconds = {phase: sum(row.get(phase, 0.0) for row in timings) for phase in phases}
    total, steps = sum(seconds.values()), sum("rollout" in row for row in timings)
    table = Table(
        "phase", "seconds", "share", "per training step", box=None, pad_edge=False, header_style="dim",
        title=f"\n{total:.0f} s in all", title_justify="left",
    )  # fmt: skip
    for phase, spent in seconds.items():
        share = f"{100 * spent / total:.0f} %" if total else ""
        table.add_row(phase, f"{spent:.1f}", share, f"{spent / steps:.2f}" if steps and phase != "evaluation" else "")
    return table
