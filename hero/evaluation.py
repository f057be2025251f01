"""The evaluation of a policy from the outcomes of its episodes: every estimate comes with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass
from statistics import correlation, fmean, variance
from typing import Any, Final, Literal, Self

from hero.intervals import Estimate, clamp, paired_difference, t_interval, t_quantile, wilson_interval
from hero.outcomes import Outcome, metric_values
from hero.types import Stop

Measure = Literal["success", "score", "turns", "valid_actions", "invalid_actions", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcomes of one policy on a set of tasks, each played once or several times.

    Episodes of one task are not independent, so the unit of every interval is the task: each weighs the same,
    however often it was played. An episode that ended in an error counts as a failure.

    Raises:
        ValueError: no outcomes.
    """

    outcomes: tuple[Outcome, ...]

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise ValueError("an evaluation needs at least one episode")

    @property
    def success(self) -> Estimate:
        """Share of episodes that succeeded, with Wilson's score interval (1927).

        Its n is the number of tasks. With repeated trials n is the effective sample size, the variance of one episode
        over that of the mean, and the quantile that of Student's t, since the variance is estimated (Dean and Pagano
        2015), if that interval is narrower. It is at most the number of episodes.
        """
        means = list(self.per_task("success").values())
        share, tasks = fmean(means), len(means)
        by_tasks = wilson_interval(share, tasks)
        if tasks == 1 or tasks == len(self.outcomes) or not 0 < share < 1:
            return by_tasks
        mean_variance = variance(means) / tasks
        size = share * (1 - share) / mean_variance if mean_variance else math.inf
        by_trials = wilson_interval(share, min(size, len(self.outcomes)), t_quantile(tasks - 1))
        return min(by_tasks, by_trials, key=lambda interval: interval.high - interval.low)

    @property
    def score(self) -> Estimate:
        """100 times the mean reward, with Student's t interval."""
        return self._mean("score")

    @property
    def turns(self) -> Estimate:
        """Turns per episode, with Student's t interval, not below 0."""
        return clamp(self._mean("turns"), math.inf)

    @property
    def valid_actions(self) -> Estimate:
        """Mean share of an episode's turns whose action was valid, with Student's t interval within 0 to 1.

        Where all tasks have the same share, which leaves nothing to estimate its spread by, with Wilson's score
        interval: no distribution within 0 to 1 has more spread than that of a share.
        """
        shares = list(self.per_task("valid_actions").values())
        if len(shares) > 1 and len(set(shares)) == 1:
            return wilson_interval(shares[0], len(shares))
        return clamp(self._mean("valid_actions"), 1.0)

    @property
    def invalid_actions(self) -> Estimate:
        """Turns per episode whose action was invalid, with Student's t interval, not below 0."""
        return clamp(self._mean("invalid_actions"), math.inf)

    @property
    def tool_calls(self) -> Estimate | None:
        """Turns per episode that called a tool, with Student's t interval, not below 0; None where there are no tools.

        Words to a user are valid actions: a policy that only talks has no invalid ones, and no calls.
        """
        if all(outcome.tool_calls is None for outcome in self.outcomes):
            return None
        return clamp(self._mean("tool_calls"), math.inf)

    @property
    def metrics(self) -> dict[str, tuple[Estimate, int]]:
        """Mean of each metric of the environment, with Student's t interval, and the number of episodes behind it.

        An episode that the environment did not end, or for which a metric means nothing, does not report it. So each
        mean is over the episodes that do, first by task, then over the tasks.
        """
        values: dict[str, list[list[float]]] = {}
        for trials in self._by_task().values():
            for name, reported in metric_values(trials).items():
                values.setdefault(name, []).append(reported)
        return {name: (t_interval(list(map(fmean, tasks))), sum(map(len, tasks))) for name, tasks in values.items()}

    @property
    def noop_reward(self) -> float | None:
        """Score of the no-op baseline on these tasks; None unless it is known for each of them."""
        by_task = self._by_task().values()
        rewards = [reward for trials in by_task if (reward := trials[0].noop_reward) is not None]
        return 100 * fmean(rewards) if len(rewards) == len(by_task) else None

    @property
    def errors(self) -> int:
        """Number of episodes that ended in an error."""
        return sum(outcome.stop is Stop.ERROR for outcome in self.outcomes)

    @property
    def trials(self) -> int:
        """Number of times that every task was played at least."""
        return min(map(len, self._by_task().values()))

    def pass_hat(self, k: int) -> float:
        """Returns pass^k, the chance that k independent trials of a task all succeed, averaged over tasks.

        C(c, k) / C(n, k) for c successes in n trials; unbiased (tau-bench, 2406.12045).

        Raises:
            ValueError: k is not in 1 to `trials`.
        """
        if not 1 <= k <= self.trials:
            raise ValueError(f"pass^{k} needs 1 <= k <= {self.trials}, the number of trials per task")
        return fmean(
            math.comb(sum(outcome.success for outcome in trials), k) / math.comb(len(trials), k)
            for trials in self._by_task().values()
        )

    def record(self) -> dict[str, Any]:
        """Returns plain JSON: the estimates for people, the outcomes for `of_record`."""
        return {
            "tasks": len(self._by_task()),
            "success": self.success.record(),
            "score": self.score.record(),
            "turns_per_episode": self.turns.record(),
            "valid_actions": self.valid_actions.record(),
            "invalid_actions_per_episode": self.invalid_actions.record(),
            "tool_calls_per_episode": self.tool_calls.record() if self.tool_calls else None,
            "metrics": {name: mean.record() | {"episodes": count} for name, (mean, count) in self.metrics.items()},
            "noop_reward": self.noop_reward,
            "errors": self.errors,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Returns the evaluation that `record` wrote."""
        return cls(tuple(Outcome(**(outcome | {"stop": Stop(outcome["stop"])})) for outcome in record["outcomes"]))

    def on(self, tasks: Container[str]) -> Evaluation:
        """Returns the evaluation on some of the tasks, by id.

        Raises:
            ValueError: none of them was played.
        """
        return Evaluation(tuple(outcome for outcome in self.outcomes if outcome.task_id in tasks))

    def per_task(self, measure: Measure) -> dict[str, float]:
        """Returns the mean of one measure over the episodes of each task, by task id."""
        value = _VALUES[measure]
        return {task: fmean(map(value, trials)) for task, trials in self._by_task().items()}

    def _mean(self, measure: Measure) -> Estimate:
        return t_interval(list(self.per_task(measure).values()))

    def _by_task(self) -> dict[str, list[Outcome]]:
        tasks: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            tasks.setdefault(outcome.task_id, []).append(outcome)
        return tasks


_VALUES: Final[Mapping[Measure, Callable[[Outcome], float]]] = {
    "success": lambda outcome: outcome.success,
    "score": lambda outcome: 100 * outcome.reward,
    "turns": lambda outcome: outcome.turns,
    "valid_actions": lambda outcome: outcome.valid,
    "invalid_actions": lambda outcome: outcome.turns * (1 - outcome.valid),
    "tool_calls": lambda outcome: outcome.tool_calls or 0,
}


def difference(after: Evaluation, before: Evaluation, measure: Measure) -> Estimate:
    """Returns the difference of a measure between two evaluations: `after` minus `before`.

    The interval combines the two intervals and the correlation between them (MOVER, Zou and Donner 2008): for success
    that is Newcombe's (1998) score interval, for means of paired tasks the paired t interval. The evaluations are
    paired, task by task, if both are of the same tasks; otherwise they count as independent.
    """
    new, old = getattr(after, measure), getattr(before, measure)
    r = _correlation(after.per_task(measure), before.per_task(measure))
    return paired_difference(new, old, r)


def _correlation(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Returns Pearson's correlation over tasks; 0 where the tasks differ or one side does not vary."""
    if a.keys() != b.keys() or len(set(a.values())) < 2 or len(set(b.values())) < 2:
        return 0.0
    return correlation(list(a.values()), [b[task] for task in a])
