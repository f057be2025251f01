"""Statistics of a training step and of a whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final, Literal

from hero.evaluation import Evaluation, Measure, difference
from hero.intervals import Estimate
from hero.outcomes import Outcome, metric_values
from hero.types import Diagnosis, Stop, Trajectory

Mode = Literal["sampled", "greedy"]
MODES: Final[tuple[Mode, ...]] = ("sampled", "greedy")
"""Ways to evaluate a policy in a run: at the temperature that it trains with, and at temperature 0."""
GAINS: Final[Mapping[str, Measure]] = {"success": "success", "score": "score", "turns_per_episode": "turns"}


def rollout_metrics(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """Returns statistics of the episodes of one step: success and score as in evaluations, and signs of trouble.

    `metrics` has the mean of each metric of the environment over the episodes that report it, `action_length` the mean
    number of characters of an action, `commonest_action` the share of all actions whose text is the commonest.
    """
    outcomes = [Outcome.of(trajectory) for trajectory in trajectories]
    turns = [turn for trajectory in trajectories for turn in trajectory.turns]
    actions = [turn.action.text for turn in turns]
    tool_calls = [outcome.tool_calls for outcome in outcomes if outcome.tool_calls is not None]
    return {
        "episodes": len(outcomes),
        "success": fmean(outcome.success for outcome in outcomes),
        "score": 100 * fmean(outcome.reward for outcome in outcomes),
        "turns_per_episode": fmean(outcome.turns for outcome in outcomes),
        "valid_actions": fmean(outcome.valid for outcome in outcomes),
        "action_length": sum(map(len, actions)) / max(1, len(actions)),
        "commonest_action": max(Counter(actions).values(), default=0) / max(1, len(actions)),
        **({"tool_calls_per_episode": sum(tool_calls) / len(outcomes)} if tool_calls else {}),
        "metrics": {name: fmean(values) for name, values in metric_values(outcomes).items()},
        "cut_off_actions": sum(turn.action.cut_off for turn in turns),
        "drift_tokens": sum(drift for turn in turns if isinstance(drift := turn.info.get("drift_tokens"), int)),
        "errors": sum(outcome.stop is Stop.ERROR for outcome in outcomes),
    }


def reflection_metrics(pairs: Sequence[tuple[Trajectory, Diagnosis]]) -> dict[str, float]:
    """Returns the shares of turns and of episodes that have a finding, and what writing them cost in tokens.

    `problems` is the number of episodes whose review failed, such as by an answer that is cut off or cannot be read.
    """
    findings = [[finding for finding in diagnosis.findings if finding.text()] for _, diagnosis in pairs]
    turns = sum(len(trajectory.turns) for trajectory, _ in pairs)
    return {
        "turns_with_finding": sum(map(len, findings)) / max(1, turns),
        "episodes_with_finding": fmean(map(bool, findings)),
        "problems": sum(bool(diagnosis.problem) for _, diagnosis in pairs),
        "tokens": sum(diagnosis.tokens for _, diagnosis in pairs),
    }


def best_step(rows: Sequence[Mapping[str, Any]]) -> int:
    """Returns the step after which sampled success was highest; the earlier of equals.

    Args:
        rows: evals.jsonl, one row per mode and evaluation.
    """
    step: int = standing(rows).best["step"]
    return step


@dataclass(frozen=True, slots=True)
class Standing:
    """The newest evaluation of a run beside its best one.

    Attributes:
        best: row of the best sampled evaluation in evals.jsonl.
        gap: success of the newest minus that of the best; 0 where they are the same.
        times_worse: number of evaluations at the end, one after another, for which the interval of that difference lies
            below 0.
    """

    best: Mapping[str, Any]
    gap: Estimate
    times_worse: int


def standing(rows: Sequence[Mapping[str, Any]]) -> Standing:
    """Returns how the newest sampled evaluation compares with the best one.

    Each evaluation is held against the best one before it, on the tasks that the two have in common. So which one is
    the best of those so far never depends on what is evaluated later, when other checkpoints are gone.

    Args:
        rows: evals.jsonl, one row per mode and evaluation.
    """
    best, *others = (row for row in rows if row["mode"] == "sampled")
    now = Standing(best, Estimate(0.0, 0.0, 0.0), 0)
    for row in others:
        gap = gain_since(now.best, row)
        if gap.value > 0:
            now = Standing(row, Estimate(0.0, 0.0, 0.0), 0)
        else:
            now = Standing(now.best, gap, now.times_worse + 1 if gap.high < 0 else 0)
    return now


def why_stopped(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the reason why a run has stopped before its plan was done; "" if it has not.

    Args:
        rows: evals.jsonl.
    """
    return str(rows[-1].get("stopped", "")) if rows else ""


def gain_since(before: Mapping[str, Any], after: Mapping[str, Any]) -> Estimate:
    """Returns the difference in success between two rows of evals.jsonl, on the tasks that they have in common."""
    new, old = Evaluation.of_record(after), Evaluation.of_record(before)
    tasks = new.per_task("success").keys() & old.per_task("success").keys()
    return difference(new.on(tasks), old.on(tasks), "success")


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the first, the last and the best evaluation of a run, and last minus first, paired by task.

    Args:
        rows: evals.jsonl of a finished run.
    """
    first, last = rows[: len(MODES)], rows[-len(MODES) :]  # in between there is one row per evaluation
    summary: dict[str, Any] = {"steps": last[0]["step"], "turns": last[0]["turns"]}
    summary["noop_reward"] = last[0].get("noop_reward")
    summary["stopped"] = why_stopped(rows)
    best = standing(rows).best
    summary["best"] = {name: best[name] for name in ("step", "turns", "tasks", "success")}
    for before, after in zip(first, last, strict=True):
        evaluations = Evaluation.of_record(after), Evaluation.of_record(before)
        gain = {name: difference(*evaluations, measure).record() for name, measure in GAINS.items()}
        summary[after["mode"]] = {"start": _estimates(before), "end": _estimates(after), "gain": gain}
    return summary


def _estimates(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("success", "score", "turns_per_episode", "valid_actions", "errors")}
