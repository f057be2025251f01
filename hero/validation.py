"""Evaluates the policy of a run on validation tasks, and notices when it has fallen far below its best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hero.alarms import REPORT_EVERY, why_worse
from hero.callback import Callback
from hero.distill.base import Trainer
from hero.errors import RunError
from hero.evaluate import hopeless, play
from hero.evaluation import Evaluation
from hero.metrics import Mode, standing
from hero.outcomes import Outcome
from hero.plan import Plan, Purpose
from hero.processes import Processes
from hero.rollout import Task
from hero.runs.reader import ValidationEpisode, check_rows, read_rows
from hero.runs.replica import Replica
from hero.runs.writer import Run
from hero.types import Trajectory

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Evaluates the policy of one run, and records the results.

    Attributes:
        envs: environments of the evaluation split.
        processes: those among which the tasks are shared.
    """

    run_dir: Run | Replica
    plan: Plan
    trainer: Trainer
    envs: Sequence[gymnasium.Env[str, str]]
    callback: Callback
    processes: Processes

    def evaluate(self, step: int, turns: int, stopped: str) -> str:
        """Evaluates sampled on the first tasks; at the start and the end of the run in both modes on all tasks.

        Args:
            stopped: why the run ends here, before its plan is done; "" if it does not. The rows say so.

        Returns:
            The reason to stop here: the one given, or that the policy is far below its best; "" if there is none.

        Raises:
            RunError: every episode ended in an error, or before its first turn; or hardly any action is valid before
                training.
        """
        plan, is_whole = self.plan, bool(stopped) or step == 0 or self.plan.is_done(step, turns)
        first = range(plan.eval_tasks if is_whole else plan.tasks_between)
        self._begin(step, len(first) * (2 if is_whole else 1))
        sampled = self._play(step, "sampled", first)
        refuse_hopeless(step, sampled)
        if step == 0 and not plan.is_done(step, turns):
            _require_valid(sampled, plan.min_valid_actions)
        position = {"step": step, "turns": turns, "mode": "sampled"}
        now = standing([*self.run_dir.rows("evals"), position | Evaluation(sampled).record()])
        if now.times_worse % REPORT_EVERY == 1:
            self.callback.on_warning(f"step {step}: {why_worse(now)}")
        if not is_whole and plan.stop_when_worse and now.times_worse >= plan.stop_when_worse:
            stopped = f"{now.times_worse} evaluations in a row were far below the best; {why_worse(now)}"
            rest = range(len(first), plan.eval_tasks)
            self._begin(step, len(rest) + plan.eval_tasks)
            sampled += self._play(step, "sampled", rest)
        reason = {"stopped": stopped} if stopped else {}
        self._record(position | Evaluation(sampled).record() | reason)
        if is_whole or stopped:
            greedy = self._play(step, "greedy", range(plan.eval_tasks))
            refuse_hopeless(step, greedy)
            self._record(position | {"mode": "greedy"} | Evaluation(greedy).record() | reason)
        return stopped

    def take_over(self, path: Path) -> None:
        """Records the evaluation before training of another run, with the same policy and plan, as that of this run.

        Args:
            path: that run, with a complete step at least.

        Raises:
            RunError: its records are damaged, or hardly any of its actions is valid.
        """
        check_rows(path, "validation", "evals")
        self.run_dir.record("validation", *(row for row in read_rows(path, "validation") if row["step"] == 0))
        for row in read_rows(path, "evals"):
            if row["step"] == 0:
                if row["mode"] == "sampled" and not self.plan.is_done(0, 0):
                    _require_valid(Evaluation.of_record(row).outcomes, self.plan.min_valid_actions)
                self._record(row)

    def _play(self, step: int, mode: Mode, tasks: Sequence[int]) -> tuple[Outcome, ...]:
        if not tasks:
            return ()
        policy = self.trainer.policy(temperature=self.plan.temperature if mode == "sampled" else 0.0)
        played: list[tuple[Trajectory, Outcome]] = []
        if own := self.processes.share(tasks):
            played = play(
                self.envs,
                policy,
                [Task(index, index, index) for index in own],
                max_turns=self.plan.max_turns,
                max_tokens=self.plan.max_tokens,
                seed=self.plan.seed_for(step, Purpose.EVALUATION),
                on_turn=self.callback.on_turn,
            )
        played = self.processes.gather(played)
        self.run_dir.record("validation", *(ValidationEpisode(step, mode, each).record() for each, _ in played))
        return tuple(outcome for _, outcome in played)

    def _begin(self, step: int, episodes: int) -> None:
        """Reports the number of episodes, as many of which as are its own this process will report turns of."""
        self.callback.on_phase_begin(step, "evaluation", len(self.processes.share(range(episodes))))

    def _record(self, row: Mapping[str, Any]) -> None:
        self.run_dir.record("evals", row)
        self.callback.on_evaluate(row)


def refuse_hopeless(step: int, outcomes: Iterable[Outcome]) -> None:
    """Ends a run in which no episode of a step says anything about the policy.

    Raises:
        RunError: every episode ended in an error, or before its first turn.
    """
    outcomes = list(outcomes)
    if why := hopeless(outcomes):
        remedy = "; then go on with --resume" if any(outcome.error for outcome in outcomes) else ""
        raise RunError(f"step {step}: {why}{remedy}")


def _require_valid(outcomes: Sequence[Outcome], least: float) -> None:
    """Refuses to train a policy whose actions do nothing.

    Raises:
        RunError: the mean share of valid actions is less than `least`.
    """
    valid = fmean(outcome.valid for outcome in outcomes)
    if valid < least:
        raise RunError(
            f"{100 * valid:.1f} % of the policy's actions are valid before training, and with less than "
            f"{100 * least:g} % (min_valid_actions) it does not play this environment at all, so that no method finds "
            "anything to learn from; take a model that knows it, or make a small one from a script that plays it (hero "
            "warm)"
        )
