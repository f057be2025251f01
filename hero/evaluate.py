"""How good a policy is, and how sure that is: every number comes with a 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import correlation, fmean, variance
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from hero.intervals import Estimate, clamp, difference_half_width, t_interval, wilson_interval
from hero.types import Stop, Trajectory

if TYPE_CHECKING:
    import gymnasium

    from hero.policy import Policy
    from hero.rollout import Task

Measure = Literal["success", "score", "turns", "valid_actions", "invalid_actions", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one episode ended: all of it that statistics need.

    Attributes:
        valid: share of its turns whose action was valid; 0 for an episode without turns.
        nothing: the reward of the no-op baseline (acting without effect); None where that is not known.
        calls: number of its turns that called a tool; None where there are no tools.
        error: what the environment raised; "" unless `stop` is `Stop.ERROR`.
    """

    task_id: str
    success: bool
    reward: float
    turns: int
    valid: float
    stop: Stop
    error: str = ""
    nothing: float | None = None
    calls: int | None = None

    @classmethod
    def of(cls, trajectory: Trajectory, nothing: float | None = None) -> Self:
        """What one episode came to."""
        valid = [turn.info.get("action_valid") is True for turn in trajectory.turns]
        calls = [turn.info["tool_call"] is True for turn in trajectory.turns if "tool_call" in turn.info]
        return cls(
            task_id=trajectory.task_id,
            success=trajectory.success,
            reward=trajectory.reward,
            turns=len(valid),
            valid=sum(valid) / max(1, len(valid)),
            stop=trajectory.stop,
            error=trajectory.error,
            nothing=nothing,
            calls=sum(calls) if calls else None,
        )


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
        """Share of episodes that succeeded: Wilson's score interval (1927).

        With repeated trials n is the effective sample size, the variance of one episode over that of the mean (Dean
        and Pagano 2015), never less than the number of tasks and never more than the number of episodes.
        """
        means = list(self.per_task("success").values())
        value = fmean(means)
        single = value * (1 - value)
        spread = variance(means) / len(means) if len(means) > 1 else 0.0
        size = single / spread if spread else math.inf if single else 0.0
        return wilson_interval(value, min(max(size, len(means)), len(self.outcomes)))

    @property
    def score(self) -> Estimate:
        """100 times the mean reward: Student's t interval."""
        return t_interval(list(self.per_task("score").values()))

    @property
    def turns(self) -> Estimate:
        """Turns per episode: Student's t interval."""
        return t_interval(list(self.per_task("turns").values()))

    @property
    def valid_actions(self) -> Estimate:
        """Share of an episode's turns whose action was valid: Student's t interval, cut to what a share can be."""
        return clamp(t_interval(list(self.per_task("valid_actions").values())), 1.0)

    @property
    def invalid_actions(self) -> Estimate:
        """Turns per episode whose action was invalid: Student's t interval, not below 0."""
        return clamp(t_interval(list(self.per_task("invalid_actions").values())), math.inf)

    @property
    def tool_calls(self) -> Estimate | None:
        """Turns per episode that called a tool: Student's t interval, not below 0; None where there are no tools.

        Words to a user are valid actions: a policy that only talks has no invalid ones, and no calls.
        """
        if all(outcome.calls is None for outcome in self.outcomes):
            return None
        return clamp(t_interval(list(self.per_task("tool_calls").values())), math.inf)

    @property
    def noop_reward(self) -> float | None:
        """The score of the no-op baseline on these tasks; None where it is not known of each."""
        scores = [100 * trials[0].nothing for trials in self._by_task().values() if trials[0].nothing is not None]
        return fmean(scores) if len(scores) == len(self._by_task()) else None

    @property
    def errors(self) -> int:
        """Number of episodes that ended in an error."""
        return sum(outcome.stop is Stop.ERROR for outcome in self.outcomes)

    @property
    def trials(self) -> int:
        """How often every task was played at least."""
        return min(map(len, self._by_task().values()))

    def pass_hat(self, k: int) -> float:
        """pass^k, the chance that k independent trials of a task all succeed: C(c, k) / C(n, k) for c successes in n
        trials, averaged over tasks; unbiased (tau-bench, 2406.12045).

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
        """As plain JSON: the estimates for people, the outcomes for `of_record`."""
        return {
            "tasks": len(self._by_task()),
            "success": self.success.record(),
            "score": self.score.record(),
            "turns_per_episode": self.turns.record(),
            "valid_actions": self.valid_actions.record(),
            "invalid_actions_per_episode": self.invalid_actions.record(),
            "tool_calls_per_episode": self.tool_calls.record() if self.tool_calls else None,
            "noop_reward": self.noop_reward,
            "errors": self.errors,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """The evaluation that `record` came from."""
        return cls(tuple(Outcome(**(outcome | {"stop": Stop(outcome["stop"])})) for outcome in record["outcomes"]))

    def per_task(self, measure: Measure) -> dict[str, float]:
        """The mean of one measure over the episodes of each task, by task id."""
        value = _VALUES[measure]
        return {task: fmean(map(value, trials)) for task, trials in self._by_task().items()}

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
    "tool_calls": lambda outcome: outcome.calls or 0,
}


def evaluate(
    envs: Sequence[gymnasium.Env[str, str]],
    policy: Policy,
    tasks: Sequence[Task],
    *,
    max_turns: int,
    seed: int = 0,
    on_turn: Callable[..., None] | None = None,
) -> Evaluation:
    """Plays tasks and sums up how they ended; a task that is named several times is played as often.

    The arguments are those of `rollout`.
    """
    from hero.envs.base import text_env
    from hero.envs.validate import read_baseline
    from hero.rollout import rollout

    env = text_env(envs[0])
    nothing = [read_baseline(env.noop_reward(task.index)) for task in tasks]
    played = rollout(envs, policy, tasks, max_turns=max_turns, seed=seed, on_turn=on_turn)
    return Evaluation(tuple(map(Outcome.of, played, nothing)))


def hopeless(outcomes: Iterable[Outcome]) -> str:
    """Says why episodes tell nothing of a policy, and what to do; "" where one of them does.

    One episode that ended in an error, or before its first turn, is data. Where all of them did, something is broken.
    """
    outcomes = list(outcomes)
    if any(outcome.turns and not outcome.error for outcome in outcomes):
        return ""
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if errors:
        which = "each" if len(errors) == len(outcomes) else f"{len(errors)}"
        rest = "" if len(errors) == len(outcomes) else ", and the others had no turn"
        return (
            f"{which} of {len(outcomes)} episodes ended in an error{rest}, the first in: {errors[0]}; "
            "mend the environment"
        )
    return (
        f"none of {len(outcomes)} episodes had a turn: their first prompts and the longest action do not fit the "
        "model's context; shorten actions, or take a model with a longer context"
    )


def difference(after: Evaluation, before: Evaluation, measure: Measure) -> Estimate:
    """How much `after` exceeds `before`.

    The interval combines the two intervals and the correlation between them (MOVER, Zou and Donner 2008): for success
    that is Newcombe's (1998) score interval, for means of paired tasks the paired t interval. The evaluations are
    paired, task by task, if both are of the same tasks; otherwise they count as independent.
    """
    a, b = getattr(after, measure), getattr(before, measure)
    r = _correlation(after.per_task(measure), before.per_task(measure))
    value = a.value - b.value
    return Estimate(
        value,
        value - difference_half_width(a.value - a.low, b.high - b.value, r),
        value + difference_half_width(a.high - a.value, b.value - b.low, r),
    )


def _correlation(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Pearson's, over tasks; 0 where the tasks differ or one side does not vary."""
    if a.keys() != b.keys() or len(set(a.values())) < 2 or len(set(b.values())) < 2:
        return 0.0
    return correlation(list(a.values()), [b[task] for task in a])
