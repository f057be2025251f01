"""The training loop, with no algorithm in it: play, reflect, take an optimiser step, evaluate, record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hero.callback import Callback, Phase, expendable
from hero.distill.base import Example, Learner, Trainer
from hero.distill.learners import group_examples
from hero.errors import ConfigError, RunError
from hero.evaluate import evaluate, hopeless
from hero.evaluation import Evaluation
from hero.metrics import MODES, Mode, best_step, reflection_metrics, rollout_metrics, summarise
from hero.outcomes import Outcome
from hero.plan import Plan, Purpose
from hero.reflect.base import Reflector, check_diagnoses
from hero.rollout import Task, rollout
from hero.runs.reader import Episode
from hero.runs.writer import Run
from hero.types import Diagnosis, Trajectory

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True, kw_only=True)
class Training:
    """Trains a policy: the parts of one run.

    Attributes:
        reflector: None for a learner that reads no diagnoses.
        envs: environments of the training split; as many episodes are played at a time.
        eval_envs: environments of the evaluation split.
        callback: observes the run; its exceptions do not end it.

    Raises:
        ConfigError: the evaluation split has fewer tasks than the plan evaluates on.
    """

    run_dir: Run
    plan: Plan
    trainer: Trainer
    reflector: Reflector | None
    learner: Learner
    envs: Sequence[gymnasium.Env[str, str]]
    eval_envs: Sequence[gymnasium.Env[str, str]]
    callback: Callback = field(default_factory=Callback)

    def __post_init__(self) -> None:
        object.__setattr__(self, "callback", expendable(self.callback))
        least = getattr(self.learner, "min_group_size", 1)
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
            interrupted: is called before each step; True stops the run, which can be resumed.

        Returns:
            Whether the plan is done; then the summary is written.

        Raises:
            RunError: every episode of a step ended in an error, or before its first turn.
            UnavailableError: a service that the environment needs has been given up; the run can be resumed.
        """
        run_dir = self.run_dir
        if run_dir.checkpoint:
            self.trainer.load(run_dir.checkpoint.trainer)
        else:
            timings: dict[str, Any] = {"step": 0}
            self._evaluate(0, 0, timings)
            self._complete(0, timings)
        step, turns = run_dir.progress()
        while not self.plan.is_done(step, turns):
            if interrupted():
                return False
            step += 1
            turns = self._step(step, turns)
        run_dir.write_summary(summarise(run_dir.rows("evals")))
        return True

    def _step(self, step: int, turns: int) -> int:
        """Takes one step; returns the number of environment turns that the run has used by its end."""
        timings: dict[str, Any] = {"step": step}
        with self._timed(step, "rollout", self.plan.episodes, timings):
            trajectories = self._play(step)
        episodes = len(trajectories)
        with self._timed(step, "reflection", episodes, timings):
            diagnoses = [Diagnosis("none")] * episodes
            if self.reflector:
                author = getattr(self.reflector, "name", type(self.reflector).__name__)
                diagnoses = check_diagnoses(self.reflector.reflect(trajectories), trajectories, author)
        pairs = list(zip(trajectories, diagnoses, strict=True))
        self.run_dir.record("episodes", *(Episode(step, *pair).record() for pair in pairs))
        _refuse_hopeless(step, map(Outcome.of, trajectories))
        with self._timed(step, "update", episodes, timings):
            examples = group_examples(self.learner, pairs)
            update = self.trainer.update(examples)
        self._warn(step, diagnoses, examples, update)
        turns += sum(len(trajectory.turns) for trajectory in trajectories)
        row = {
            "step": step,
            "turns": turns,
            "rollout": rollout_metrics(trajectories),
            "reflection": reflection_metrics(pairs),
            "examples": len(examples),
            "update": dict(update),
        }
        self.run_dir.record("steps", row)
        self.callback.on_step_end(row)
        if step % self.plan.eval_every == 0 or self.plan.is_done(step, turns):
            self._evaluate(step, turns, timings)
        self._complete(step, timings)
        return turns

    def _complete(self, step: int, timings: Mapping[str, Any]) -> None:
        self.run_dir.record("timings", timings)
        self.run_dir.save_checkpoint(step, self.trainer.save, best=best_step(self.run_dir.rows("evals")))

    def _play(self, step: int) -> list[Trajectory]:
        plan = self.plan
        return rollout(
            self.envs,
            self.trainer.policy(temperature=plan.temperature),
            plan.sample_tasks(step, _num_tasks(self.envs)),
            max_turns=plan.max_turns,
            seed=plan.seed_for(step, Purpose.SAMPLING),
            on_turn=self.callback.on_turn,
        )

    def _evaluate(self, step: int, turns: int, timings: dict[str, Any]) -> None:
        """Evaluates in both modes on all tasks at the start and the end, otherwise sampled on the first tasks."""
        is_whole = step == 0 or self.plan.is_done(step, turns)
        modes = MODES if is_whole else ("sampled",)
        num_tasks = self.plan.eval_tasks if is_whole else self.plan.tasks_between
        with self._timed(step, "evaluation", len(modes) * num_tasks, timings):
            for mode in modes:
                evaluation = self._play_evaluation(step, mode, range(num_tasks))
                _refuse_hopeless(step, evaluation.outcomes)
                row = {"step": step, "turns": turns, "mode": mode} | evaluation.record()
                self.run_dir.record("evals", row)
                self.callback.on_evaluate(row)

    def _play_evaluation(self, step: int, mode: Mode, tasks: Iterable[int]) -> Evaluation:
        plan = self.plan
        return evaluate(
            self.eval_envs,
            self.trainer.policy(temperature=plan.temperature if mode == "sampled" else 0.0),
            [Task(index, index, index) for index in tasks],
            max_turns=plan.max_turns,
            seed=plan.seed_for(step, Purpose.EVALUATION),
            on_turn=self.callback.on_turn,
        )

    def _warn(
        self, step: int, diagnoses: Sequence[Diagnosis], examples: Sequence[Example], update: Mapping[str, float]
    ) -> None:
        warn = self.callback.on_warning
        has_finding = any(finding.text() for diagnosis in diagnoses for finding in diagnosis.findings)
        if self.reflector and not has_finding:
            warn(f"step {step}: the reflector found nothing to say about any of {len(diagnoses)} episodes")
        if not examples:
            warn(f"step {step}: no episode gave anything to learn from; the weights stay as they are")
        if turns_too_long := update.get("turns_too_long"):
            warn(
                f"step {step}: {turns_too_long:.0f} turns are not distilled: with hindsight they exceed the model's "
                "context"
            )
        unshared = update.get("teacher_tokens_apart", 0.0)
        # Where there are more turns than episodes, two of one episode could have shared their past.
        if step == 1 and update.get("turns_distilled", 0.0) > len(diagnoses) and unshared == update["teacher_tokens"]:
            warn(
                "the teacher's prompts do not begin like the episodes (a window of turns, or a chat template that "
                "rewrites the past), so it reads each turn by itself, which takes longer"
            )

    @contextmanager
    def _timed(self, step: int, phase: Phase, episodes: int, timings: dict[str, Any]) -> Iterator[None]:
        self.callback.on_phase_begin(step, phase, episodes)
        start = time.perf_counter()
        yield
        timings[phase] = time.perf_counter() - start


def _num_tasks(envs: Sequence[gymnasium.Env[str, str]]) -> int:
    from hero.envs.base import text_env

    return text_env(envs[0]).num_tasks


def _refuse_hopeless(step: int, outcomes: Iterable[Outcome]) -> None:
    outcomes = list(outcomes)
    if why := hopeless(outcomes):
        remedy = "; then go on with --resume" if any(outcome.error for outcome in outcomes) else ""
        raise RunError(f"step {step}: {why}{remedy}")
