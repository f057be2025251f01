"""Text and tables of a run: a step, its evaluations, and the whole when it is finished."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table

from .teaching import MEASURES
from .terminal import estimate

if TYPE_CHECKING:
    from hero.plan import Plan


def step_facts(row: Mapping[str, Any], plan: Plan) -> dict[str, str]:
    """Returns the facts that are shown of a step, by label."""
    rollout, update = row["rollout"], row["update"]
    facts = {
        "step": str(row["step"]) + ("" if plan.steps is None else f"/{plan.steps}"),
        "turns used": str(row["turns"]) + ("" if plan.turn_budget is None else f"/{plan.turn_budget}"),
        "success": f"{100 * rollout['success']:.1f} %",
        "score": f"{rollout['score']:.1f}",
        "turns": f"{rollout['turns_per_episode']:.1f}",
        "diagnosed": f"{100 * row['reflection']['turns_with_finding']:.0f} %",
        "loss": f"{update['loss']:.4f}",
    }
    if failed := row["reflection"].get("problems"):
        facts["failed reviews"] = str(failed)
    facts |= {name: f"{update[name]:.3g}" for name in ("mismatch", "teacher_gap") if name in update}
    return facts | ({"errors": str(rollout["errors"])} if rollout["errors"] else {})


def evaluation_facts(row: Mapping[str, Any]) -> dict[str, str]:
    """Returns the facts that are shown of an evaluation, by label."""
    facts = {
        "success": estimate(row["success"], percent=True),
        "score": estimate(row["score"]),
        "turns": estimate(row["turns_per_episode"]),
        "valid": estimate(row["valid_actions"], percent=True),
    }
    return facts | ({"errors": str(row["errors"])} if row["errors"] else {})


def evaluation_table(evaluations: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Returns a table of the first evaluation and the latest four, with 95 % intervals of success.

    Score and turns per episode are those of the sampled evaluation.

    Args:
        evaluations: rows of evals.jsonl by step and mode; each step was evaluated sampled, some greedily as well.
    """
    table = Table(
        "step", "turns used", "tasks", "success, sampled", "success, greedy", "score", "turns",
        title="validation", title_justify="left", title_style="dim", header_style="dim", box=None, pad_edge=False,
    )  # fmt: skip
    steps = list(evaluations)
    for step in steps[:1] + steps[1:][-4:]:
        row = evaluations[step]["sampled"]
        sampled = evaluation_facts(row)
        greedy = evaluation_facts(evaluations[step]["greedy"]) if "greedy" in evaluations[step] else {}
        table.add_row(
            str(step), str(row["turns"]), str(row["tasks"]), sampled["success"], greedy.get("success", ""),
            *(f"{row[measure]['value']:.1f}" for measure in ("score", "turns_per_episode")),
        )  # fmt: skip
    return table


def report(
    console: Console,
    path: Path,
    summary: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    timings: Sequence[Mapping[str, Any]],
    gpu_gib: Mapping[str, float],
) -> None:
    """Prints success and score at start and end, how it was taught, where the time went, and which command is next.

    Args:
        steps, timings: rows of steps.jsonl and timings.jsonl.
        gpu_gib: most memory of the GPU that was in use, by phase; empty without one.
    """
    if summary["stopped"]:
        console.print(f"\nstopped early: {summary['stopped']}", style="yellow", markup=False)
    console.print(outcome_table(summary))
    best = summary["best"]
    success = f"success {estimate(best['success'], percent=True)} sampled, on {best['tasks']} tasks"
    console.print(f"\nbest           after step {best['step']}: {success}", markup=False)
    if steps:
        console.print(teaching_table(steps))
    console.print(time_table(timings, gpu_gib))
    console.print(f"\nrun directory  {path}", markup=False)
    console.print(f"learning curve {path / 'curve.png'}", markup=False)
    console.print(f"next           hero eval {shlex.quote(str(path))} --split test", markup=False)
    console.print(f"look inside    hero view {shlex.quote(str(path))}", markup=False)


def outcome_table(summary: Mapping[str, Any]) -> Table:
    """Returns a table of start, end and difference by measure, each with its 95 % interval."""
    table = Table(
        "", *(Column(name, no_wrap=True) for name in ("start", "end", "difference")),
        box=None, pad_edge=False, collapse_padding=True, header_style="dim", title_justify="left",
        title=f"\nvalidation after {summary['steps']} steps, {summary['turns']} environment turns (95 % intervals)",
    )  # fmt: skip
    for measure, percent in (("success", True), ("score", False), ("turns_per_episode", False)):
        for mode in ("sampled", "greedy"):
            start, end = (estimate(summary[mode][when][measure], percent=percent) for when in ("start", "end"))
            gain = estimate(summary[mode]["gain"][measure], percent=percent, signed=True)
            table.add_row(f"{measure.removesuffix('_per_episode')}, {mode}", start, end, gain)
        if measure == "score" and summary["noop_reward"] is not None:
            table.add_row("score, no-op baseline", f"{summary['noop_reward']:.1f}")
    return table


def teaching_table(steps: Sequence[Mapping[str, Any]]) -> Table:
    """Returns a table of how right the reviews were and whether the teacher followed, in the first and last step."""
    table = Table(
        "", "first step", "last step", box=None, pad_edge=False, header_style="dim", title_justify="left",
        title="\ntraining episodes",
    )  # fmt: skip
    for measure in MEASURES:
        if texts := measure.texts([steps]):
            table.add_row(measure.meaning, *texts)
    return table


def time_table(timings: Sequence[Mapping[str, Any]], gpu_gib: Mapping[str, float]) -> Table:
    """Returns a table of wall-clock seconds by phase, in all, as a share of the whole, and per step.

    On a GPU it has the most memory that tensors took in each phase since the command began.
    """
    phases = ("start_up", "rollout", "reflection", "update", "evaluation")
    seconds = {phase: sum(row.get(phase, 0.0) for row in timings) for phase in phases}
    total, steps = sum(seconds.values()), sum("rollout" in row for row in timings)
    columns = ["phase", "seconds", "share", "per training step", *(["GPU memory"] if gpu_gib else [])]
    table = Table(
        *columns, box=None, pad_edge=False, header_style="dim", title=f"\n{total:.0f} s in all", title_justify="left"
    )
    for phase, spent in seconds.items():
        share = f"{100 * spent / total:.0f} %" if total else ""
        per_step = f"{spent / steps:.2f}" if steps and phase not in ("start_up", "evaluation") else ""
        memory = [f"{gpu_gib[phase]:.1f} GiB"] if phase in gpu_gib else []
        table.add_row(phase.replace("_", "-"), f"{spent:.1f}", share, per_step, *memory)
    return table
