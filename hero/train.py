"""The training loop, with no algorithm in it: play, reflect, take an optimiser step, evaluate, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hero.alarms import alarms, is_due, why_few_follow
from hero.callback import Callback, Phase, expendable
from hero.distill.base import Learner, Trainer
from hero.distill.learners import TaskKey, group_examples, successes
from hero.distill.sums import at, min_group_size, needs_earlier
from hero.errors import ConfigError
from hero.metrics import best_step, reflection_metrics, rollout_metrics, summarise, why_stopped
from hero.outcomes import Outcome
from hero.plan import Plan, Purpose
from hero.processes import ALONE, Processes
from hero.quality import QualityMeter
from hero.reflect.base import Reflector, diagnoses_of
from hero.rollout import Task, rollout
from hero.runs.codec import decode_diagnosis
from hero.runs.reader import Episode, progress, read_episodes
from hero.runs.replica import Replica
from hero.runs.writer import Run
from hero.types import Diagnosis, Trajectory
from hero.validation import Validation, refuse_hopeless

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True, kw_only=True)
class Training:
    """Trains a policy: the parts of one run.

    Attributes:
        run_dir: the run directory; for all processes but the first one a `Replica` of it.
        reflector: None for a learner that reads no diagnoses.
        envs: environments of the training split; as many episodes are played at a time.
        eval_envs: environments of the evaluation split.
        callback: observes the run; its exceptions do not end it.
        processes: those that share the work. Each plays and reviews its part of the groups of a step, and has the
            same arguments as the others, the trainer's processes included.
        start_up: wall-clock seconds that it took to build the other parts; the timings of the first step have them.
        same_start_as: directory of a run, with a complete step at least, that started with an equal policy and
            evaluated it by an equal plan, so that its evaluation before training is taken over; None to make it.

    Raises:
        ConfigError: the evaluation split has fewer tasks than the plan evaluates on.
    """

    run_dir: Run | Replica
    plan: Plan
    trainer: Trainer
    reflector: Reflector | None
    learner: Learner
    envs: Sequence[gymnasium.Env[str, str]]
    eval_envs: Sequence[gymnasium.Env[str, str]]
    callback: Callback = field(default_factory=Callback)
    processes: Processes = ALONE
    start_up: float | None = None
    same_start_as: Path | None = None
    _unrecorded: dict[str, float] = field(default_factory=dict, init=False)
    _earlier: dict[TaskKey, Trajectory] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "callback", expendable(self.callback))
        if self.start_up is not None:
            self._unrecorded["start_up"] = self.start_up
        least = min_group_size(self.learner)
        if self.plan.group_size < least:
            raise ConfigError(
                f"group_size = {self.plan.group_size} leaves {type(self.learner).__name__} nothing to compare; give at "
                f"least {least}"
            )
        num_tasks = _num_tasks(self.eval_envs)
        if self.plan.eval_tasks > num_tasks:
            raise ConfigError(f"eval_tasks = {self.plan.eval_tasks}, but the split has {num_tasks}; give at most that")

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Trains from the newest complete step of the run directory on.

        Args:
            interrupted: is called before each step; True, in one process at least, stops the run, which can be
                resumed.

        Returns:
            Whether the run is finished, since its plan is done or since it has reason to stop before that; then the
            summary is written.

        Raises:
            RunError: every episode of a step ended in an error, or before its first turn; hardly any action is valid
                before training; or the records of the run with the same start are damaged.
            UnavailableError: a service that the environment needs has been given up; the run can be resumed.
        """
        run_dir = self.run_dir
        if run_dir.checkpoint:
            self.trainer.load(run_dir.checkpoint.trainer)
        else:
            timings: dict[str, Any] = {"step": 0}
            if self.same_start_as:
                timings["same_start_as"] = str(self.same_start_as.absolute())
                self._validation.take_over(self.same_start_as)
            else:
                self._evaluate(0, 0, timings)
            self._complete(0, timings, evaluated=True)
        # Read once: in a long run, reading all records would come to take longer than a step.
        rows, stopped = run_dir.rows("steps"), why_stopped(run_dir.rows("evals"))
        step, turns = progress(rows)
        meter = self._quality_meter(step)
        if needs_earlier(self.learner):
            self._earlier.update(successes(episode.trajectory for episode in read_episodes(run_dir.path)))
        while not (self.plan.is_done(step, turns) or stopped):
            if any(self.processes.gather([interrupted()])):
                if run_dir.checkpoint and run_dir.checkpoint.step < step:
                    self._save(step, evaluated=False)
                return False
            step += 1
            stopped = self._step(step, turns, rows, meter)
            turns = rows[-1]["turns"]
        run_dir.write_summary(summarise(run_dir.rows("evals")))
        return True

    def _step(self, step: int, turns: int, rows: list[dict[str, Any]], meter: QualityMeter) -> str:
        """Takes one step; returns the reason to stop after it, "" if there is none.

        Args:
            turns: environment turns that the run has used before.
            rows: the rows of the steps before, to which that of this step is added.
        """
        timings: dict[str, Any] = {"step": step}
        tasks = self.plan.sample_tasks(step, _num_tasks(self.envs))
        tasks = self.processes.share(tasks, group=self.plan.group_size)
        with self._timed(step, "rollout", len(tasks), timings):
            played = self._play(step, tasks)
        with self._timed(step, "reflection", len(played), timings):
            pairs = self.processes.gather(zip(played, self._diagnoses(played), strict=True))
        trajectories = [trajectory for trajectory, _ in pairs]
        self.run_dir.record("episodes", *(Episode(step, *pair).record() for pair in pairs))
        refuse_hopeless(step, map(Outcome.of, trajectories))
        with self._timed(step, "update", len(pairs), timings):
            learner = at(self.learner, self.plan.progress(step - 1, turns))
            examples = group_examples(learner, pairs, self._earlier)
            update = self.trainer.update(examples)
        if needs_earlier(self.learner):
            self._earlier.update(successes(trajectories))
        turns += sum(len(trajectory.turns) for trajectory in trajectories)
        row: dict[str, Any] = {
            "step": step,
            "turns": turns,
            "rollout": rollout_metrics(trajectories),
            "reflection": reflection_metrics(pairs),
            "quality": meter.measure(pairs, examples),
            "examples": len(examples),
            "update": dict(update),
        }
        rows.append(row)
        self._warn(rows)
        self.run_dir.record("steps", row)
        self.callback.on_step_end(row)
        is_done = self.plan.is_done(step, turns)
        stopped = why_few_follow(rows) if self.plan.when_few_follow == "stop" and not is_done else ""
        is_evaluated = step % self.plan.eval_every == 0 or is_done or bool(stopped)
        if is_evaluated:
            stopped = self._evaluate(step, turns, timings, stopped)
        self._complete(step, timings, evaluated=is_evaluated)
        return stopped

    def _complete(self, step: int, timings: Mapping[str, Any], *, evaluated: bool) -> None:
        self.run_dir.record("timings", {**timings, **self._unrecorded})
        self._unrecorded.clear()
        if evaluated or step % self.plan.save_every == 0:
            self._save(step, evaluated=evaluated)

    def _save(self, step: int, *, evaluated: bool) -> None:
        run_dir = self.run_dir
        newest = None if evaluated else run_dir.checkpoint
        best = newest.best if newest else best_step(run_dir.rows("evals"))
        run_dir.save_checkpoint(step, self.trainer.save, best=best)

    def _quality_meter(self, step: int) -> QualityMeter:
        """Returns the meter for the steps after a given one, whose diagnoses it reads from the run directory."""
        from hero.envs.base import text_env

        rows = self.run_dir.rows("episodes") if step else []
        diagnoses = [decode_diagnosis(row["diagnosis"]) for row in rows if row["step"] == step]
        return QualityMeter(text_env(self.envs[0]).is_right, diagnoses)

    def _play(self, step: int, tasks: Sequence[Task]) -> list[Trajectory]:
        plan = self.plan
        return rollout(
            self.envs,
            self.trainer.policy(temperature=plan.temperature),
            tasks,
            max_turns=plan.max_turns,
            max_tokens=plan.max_tokens,
            seed=plan.seed_for(step, Purpose.SAMPLING),
            on_turn=self.callback.on_turn,
        )

    def _diagnoses(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        if self.reflector is None or not trajectories:
            return [Diagnosis("none")] * len(trajectories)
        return diagnoses_of(self.reflector, trajectories)

    @property
    def _validation(self) -> Validation:
        return Validation(
            run_dir=self.run_dir,
            plan=self.plan,
            trainer=self.trainer,
            envs=self.eval_envs,
            callback=self.callback,
            processes=self.processes,
        )

    def _evaluate(self, step: int, turns: int, timings: dict[str, Any], stopped: str = "") -> str:
        """Evaluates; returns the reason to stop after it, "" if there is none."""
        start = time.perf_counter()
        stopped = self._validation.evaluate(step, turns, stopped)
        timings["evaluation"] = time.perf_counter() - start
        return stopped

    def _warn(self, rows: Sequence[dict[str, Any]]) -> None:
        """Writes the names of its alarms into the newest row, and reports those that are news.

        Args:
            rows: all steps so far.
        """
        raised = alarms(rows, reflects=self.reflector is not None)
        rows[-1]["alarms"] = list(raised)
        for name, text in raised.items():
            if is_due(name, rows):
                self.callback.on_warning(f"step {rows[-1]['step']}: {text}")

    @contextmanager
    def _timed(self, step: int, phase: Phase, episodes: int, timings: dict[str, Any]) -> Iterator[None]:
        self.callback.on_phase_begin(step, phase, episodes)
        start = time.perf_counter()
        yield
        timings[phase] = time.perf_counter() - start


def _num_tasks(envs: Sequence[gymnasium.Env[str, str]]) -> int:
    from hero.envs.base import text_env

    return text_env(envs[0]).num_tasks
