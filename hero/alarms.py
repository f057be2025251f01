"""Signs that a training run goes wrong, read off the metrics of its steps; docs/alarms.md explains each.

A row is one of steps.jsonl, and rows are all of them so far, the newest last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final, TypeAlias

from hero.metrics import Standing

Rows: TypeAlias = Sequence[Mapping[str, Any]]

FIRST_STEPS: Final = 3
"""Number of steps at the start of a run with whose mean later ones are compared."""
SHORTER: Final = 0.5
"""Mean length of the actions, as a share of that of the first steps, below which they are shrinking."""
COMMONEST: Final = 0.6
"""Share of all actions above which a single one of them, that was rarer in the first steps, is a collapse."""
LESS_VALID: Final = 0.2
"""Fall in the share of valid actions since the first steps that is an alarm."""
MIN_TURNS: Final = 10
"""Smallest number of turns whose shares and medians say something about the teacher."""
FEW_FOLLOW: Final = 0.2
"""Share of the faulted turns with advice below which the teacher does not follow it."""
MANY_REPEAT: Final = 0.3
"""Share of the faulted turns above which the teacher would repeat the fault."""
LEAK: Final = 0.05
"""Share of words of diagnoses, which no prompt shows, among those of the actions, above which they leak."""
MANY_CONTRADICT: Final = 0.5
"""Share of the faulted turns above which reviews contradict themselves."""
LITTLE_RIGHT: Final = 0.25
"""Share of the advice below which so little of it is right that it misleads."""
MANY_PROBLEMS: Final = 0.2
"""Share of the episodes above which reviews that failed are an alarm."""
STOP_AFTER: Final = 3
"""Number of steps in a row in which few follow, after which a run stops."""
REPORT_EVERY: Final = 10
"""Number of steps after which an alarm that goes on is reported again."""


def alarms(rows: Rows, *, reflects: bool) -> dict[str, str]:
    """Returns the alarms that the newest step raises, a text for people by name.

    Args:
        reflects: whether the run has a reflector.
    """
    texts = {name: check(rows) for name, check in CHECKS.items() if reflects or name != "no_findings"}
    return {name: text for name, text in texts.items() if text}


def is_due(name: str, rows: Rows) -> bool:
    """Returns whether an alarm of the newest step is news: it was not raised before, or last reported long ago.

    Args:
        rows: hold the names of their alarms as `alarms`.
    """
    return _streak(rows, lambda before: name in rows[before - 1]["alarms"]) % REPORT_EVERY == 1


def why_few_follow(rows: Rows) -> str:
    """Returns the reason to stop after `STOP_AFTER` steps in a row in which few follow; "" for none."""
    if _streak(rows, lambda before: bool(_few_follow(rows[:before]))) < STOP_AFTER:
        return ""
    return (
        f"{STOP_AFTER} steps in a row, the teacher took less than {100 * FEW_FOLLOW:.0f} % of the advice that it was "
        "shown, so it no longer teaches what the diagnoses say"
    )


def why_worse(now: Standing) -> str:
    """Returns how far the newest evaluation is below the best one; "" if that may be chance."""
    if not now.times_worse:
        return ""
    value, low, high = (f"{-100 * bound:.1f}" for bound in (now.gap.value, now.gap.high, now.gap.low))
    return f"success, sampled, is {value} points [{low}, {high}] below the best, that after step {now.best['step']}"


def _streak(rows: Rows, holds: Callable[[int], bool]) -> int:
    """Returns the number of rows at the end after which a condition holds, back to the last after which it does not."""
    return next((len(rows) - after for after in range(len(rows), 0, -1) if not holds(after)), len(rows))


def _first(rows: Rows, metric: str) -> float | None:
    """Returns the mean of a metric of the rollout over the first steps before the newest; None for the first step."""
    first = rows[: min(FIRST_STEPS, len(rows) - 1)]
    return fmean(row["rollout"][metric] for row in first) if first else None


def _shrinking(rows: Rows) -> str:
    first, now = _first(rows, "action_length"), rows[-1]["rollout"]["action_length"]
    if first is None or now >= SHORTER * first:
        return ""
    return f"actions are shrinking: {now:.1f} characters on average, after {first:.1f} in the first steps"


def _collapse(rows: Rows) -> str:
    first, now = _first(rows, "commonest_action"), rows[-1]["rollout"]["commonest_action"]
    if first is None or first > COMMONEST or now <= COMMONEST:
        return ""
    return f"{100 * now:.0f} % of all actions are one and the same, after {100 * first:.0f} % in the first steps"


def _less_valid(rows: Rows) -> str:
    first, now = _first(rows, "valid_actions"), rows[-1]["rollout"]["valid_actions"]
    if first is None or first - now <= LESS_VALID:
        return ""
    return f"{100 * now:.0f} % of the actions are valid, after {100 * first:.0f} % in the first steps"


def _no_findings(rows: Rows) -> str:
    if rows[-1]["reflection"]["episodes_with_finding"]:
        return ""
    return f"the reflector found nothing to say about any of {rows[-1]['rollout']['episodes']} episodes"


def _no_review(rows: Rows) -> str:
    failed, episodes = rows[-1]["reflection"]["problems"], rows[-1]["rollout"]["episodes"]
    if failed <= MANY_PROBLEMS * episodes:
        return ""
    return (
        f"the reviews of {failed} of {episodes} episodes failed, since they were too long, or an answer was cut off or "
        "could not be read; episodes.jsonl has each problem"
    )


def _no_signal(rows: Rows) -> str:
    if not rows[-1]["examples"]:
        return "no episode gave anything to learn from; the weights stay as they are"
    if rows[-1]["update"].get("tokens_with_loss") == 0:
        return f"none of {rows[-1]['examples']} examples carried weight; the weights stay as they are"
    return ""


def _too_long(rows: Rows) -> str:
    if not (turns := rows[-1]["update"].get("turns_too_long")):
        return ""
    return f"{turns:.0f} turns are not distilled: with hindsight they exceed the model's context"


def _apart(rows: Rows) -> str:
    update = rows[-1]["update"]
    unshared = update.get("teacher_tokens_apart", 0.0)
    # Where there are more turns than episodes, two of one episode could have shared their past.
    several = update.get("turns_distilled", 0.0) > rows[-1]["rollout"]["episodes"]
    if len(rows) > 1 or not several or unshared != update["teacher_tokens"]:
        return ""
    return (
        "the teacher's prompts do not begin like the episodes (a window of turns, or a chat template that rewrites the "
        "past), so it reads each turn by itself, which takes longer"
    )


def _of_advised(rows: Rows, metric: str) -> float | None:
    """Returns a metric of the turns of the newest step with advice to do otherwise.

    It is None if it was not measured, or on too few.
    """
    update = rows[-1]["update"]
    value: float | None = update.get(metric)
    return value if update.get("turns_advised", 0) >= MIN_TURNS else None


def _few_follow(rows: Rows) -> str:
    followed = _of_advised(rows, "followed")
    if followed is None or followed >= FEW_FOLLOW:
        return ""
    return f"the teacher takes {100 * followed:.0f} % of the advice that it is shown; the rest teaches nothing"


def _repeats(rows: Rows) -> str:
    update = rows[-1]["update"]
    repeated, consistent = update.get("repeated"), update.get("turns_faulted", 0) - update.get("turns_contradicted", 0)
    if repeated is None or repeated <= MANY_REPEAT or consistent < MIN_TURNS:
        return ""
    return f"the teacher would repeat {100 * repeated:.0f} % of the actions that it is shown to be wrong"


def _no_lift(rows: Rows) -> str:
    lift = _of_advised(rows, "lift")
    if lift is None or lift > 0:
        return ""
    return f"the teacher finds the advised actions no likelier than the student does (lift {lift:.2f} nats)"


def _contradicts(rows: Rows) -> str:
    contradicted, faulted = (rows[-1]["update"].get(f"turns_{name}", 0) for name in ("contradicted", "faulted"))
    if faulted < MIN_TURNS or contradicted <= MANY_CONTRADICT * faulted:
        return ""
    return (
        f"in {100 * contradicted / faulted:.0f} % of the turns that the reflector calls wrong, it advises the very "
        "action that was taken; those turns teach nothing"
    )


def _wrong_advice(rows: Rows) -> str:
    right, update = rows[-1].get("quality", {}).get("advice_right"), rows[-1]["update"]
    with_advice = update.get("turns_advised", 0) + update.get("turns_contradicted", 0)
    if right is None or right >= LITTLE_RIGHT or with_advice < MIN_TURNS:
        return ""
    rewards = "" if "clip_fraction" in update else ", or rewards beside it (--learner sdar)"
    return (
        f"only {100 * right:.0f} % of the advice is right, as the environment knows, and the rest is taught as well; "
        f"take a reviewer that knows better (--reflector rules, local:MODEL or openai:MODEL){rewards}"
    )


def _leak(rows: Rows) -> str:
    leak = rows[-1].get("quality", {}).get("leak") or 0.0
    return (
        f"diagnoses leak into actions: {100 * leak:.0f} % of their words come from nowhere else" if leak > LEAK else ""
    )


CHECKS: Final[Mapping[str, Callable[[Rows], str]]] = {
    "shrinking": _shrinking,
    "collapse": _collapse,
    "less_valid": _less_valid,
    "no_findings": _no_findings,
    "no_review": _no_review,
    "no_signal": _no_signal,
    "too_long": _too_long,
    "apart": _apart,
    "few_follow": _few_follow,
    "repeats": _repeats,
    "no_lift": _no_lift,
    "contradicts": _contradicts,
    "wrong_advice": _wrong_advice,
    "leak": _leak,
}
"""Each alarm's check of the newest step, which returns a text for people, or "" for no alarm."""
