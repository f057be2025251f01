"""A step and a run in a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from hero.evaluate import Evaluation, Measure, Outcome, difference
from hero.types import Diagnosis, Stop, Trajectory

MODES: Final = ("sampled", "greedy")
"""How a policy is evaluated in a run: at the temperature that it trains with, and at temperature 0."""
GAINS: Final[Mapping[str, Measure]] = {"success": "success", "score": "score", "turns_per_episode": "turns"}


def rollout_metrics(played: Sequence[Trajectory]) -> dict[str, float]:
    """What the episodes of one step came to: success and score as in evaluations, and what to keep an eye on."""
    outcomes = [Outcome.of(trajectory) for trajectory in played]
    turns = [turn for trajectory in played for turn in trajectory.turns]
    calls = [outcome.calls for outcome in outcomes if outcome.calls is not None]
    return {
        "episodes": len(played),
        "success": fmean(outcome.success for outcome in outcomes),
        "score": 100 * fmean(outcome.reward for outcome in outcomes),
        "turns_per_episode": fmean(outcome.turns for outcome in outcomes),
        "valid_actions": fmean(outcome.valid for outcome in outcomes),
        **({"tool_calls_per_episode": sum(calls) / len(played)} if calls else {}),
        "cut_off_actions": sum(turn.action.cut_off for turn in turns),
        "drift_tokens": sum(drift for turn in turns if isinstance(drift := turn.info.get("drift_tokens"), int)),
        "errors": sum(trajectory.stop is Stop.ERROR for trajectory in played),
    }


def reflection_metrics(pairs: Sequence[tuple[Trajectory, Diagnosis]]) -> dict[str, float]:
    """How much the reflector had to say, as a share of turns and of episodes, and what it cost in tokens."""
    said = [[finding for finding in diagnosis.findings if finding.text()] for _, diagnosis in pairs]
    turns = sum(len(trajectory.turns) for trajectory, _ in pairs)
    return {
        "turns_with_finding": sum(map(len, said)) / max(1, turns),
        "episodes_with_finding": fmean(map(bool, said)),
        "tokens": sum(diagnosis.tokens for _, diagnosis in pairs),
    }


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A run in a few numbers: its first evaluation, its last, and how much one exceeds the other, paired by task.

    Args:
        rows: evals.jsonl, one row per mode and evaluation.
    """
    first, last = rows[: len(MODES)], rows[-len(MODES) :]
    summary: dict[str, Any] = {"steps": last[0]["step"], "turns": last[0]["turns"]}
    summary["noop_reward"] = last[0].get("noop_reward")
    for before, after in zip(first, last, strict=True):
        ends = Evaluation.of_record(after), Evaluation.of_record(before)
        gain = {name: difference(*ends, measure).record() for name, measure in GAINS.items()}
        summary[after["mode"]] = {"start": _estimates(before), "end": _estimates(after), "gain": gain}
    return summary


def _estimates(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("success", "score", "turns_per_episode", "valid_actions", "errors")}
