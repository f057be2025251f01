"""The training loop: equal seeds, budgets, broken environments, and what is reported."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hero.distill.base import Example
from hero.distill.learners import GRPO
from hero.distill.sums import Sum, Weighted
from hero.envs.base import StepResult
from hero.errors import ConfigError, RunError
from hero.metrics import best_step
from hero.runs.reader import Checkpoint, read_checkpoint, read_episodes, read_rows, read_summary
from hero.runs.writer import Run
from hero.types import Action, Diagnosis, Group, Message, Stop, Trajectory
from tests.doubles import GuessEnv, GuessPolicy, GuessTrainer, OvershootingTrainer
from tests.loop import FALLING, PLAN, Listening, Mute, contents, training


def test_success_rises_and_the_summary_has_the_gain(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["steps"] == 6
    for mode in ("sampled", "greedy"):
        start, end = (summary[mode][when]["success"]["value"] for when in ("start", "end"))
        assert summary[mode]["gain"]["success"]["value"] == pytest.approx(end - start)
    assert summary["sampled"]["gain"]["success"]["value"] > 0


def test_everything_is_recorded(finished: Path) -> None:
    episodes = list(read_episodes(finished))
    assert [episode.step for episode in episodes] == [step for step in range(1, 7) for _ in range(8)]
    assert all(episode.diagnosis.author == "rules" for episode in episodes)
    steps = read_rows(finished, "steps")
    assert [row["turns"] for row in steps] == [
        sum(len(episode.trajectory.turns) for episode in episodes if episode.step <= step) for step in range(1, 7)
    ]
    evaluated = [(row["step"], row["mode"]) for row in read_rows(finished, "evals")]
    assert evaluated == [
        (0, "sampled"), (0, "greedy"), (2, "sampled"), (4, "sampled"), (6, "sampled"), (6, "greedy"),
    ]  # fmt: skip
    timings = read_rows(finished, "timings")
    assert [set(row) - {"step"} for row in timings[:3]] == [
        {"evaluation"},
        {"rollout", "reflection", "update"},
        {"rollout", "reflection", "update", "evaluation"},
    ]


def test_siblings_play_the_same_task_from_the_same_start(finished: Path) -> None:
    played = [episode.trajectory for episode in read_episodes(finished)]
    for one, other in zip(played[::2], played[1::2], strict=True):
        assert (one.task_id, one.seed) == (other.task_id, other.seed)


def test_equal_seeds_give_equal_runs(finished: Path, tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {"seed": 7}) as run:
        training(run).run()
    assert contents(tmp_path / "run") == contents(finished)


def test_other_seeds_give_other_runs(finished: Path, tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {"seed": 8}) as run:
        training(run, replace(PLAN, seed=8)).run()
    assert contents(tmp_path / "run")["steps.jsonl"] != contents(finished)["steps.jsonl"]


@pytest.mark.parametrize("budget", [1, 40, 100])
def test_no_step_begins_beyond_the_turn_budget(tmp_path: Path, budget: int) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=None, turn_budget=budget)).run()
        turns = [row["turns"] for row in run.rows("steps")]
        evaluated = run.rows("evals")[-1]["turns"]
    assert turns[-1] >= budget
    assert all(used < budget for used in turns[:-1])
    assert evaluated == turns[-1]


def test_a_step_without_an_evaluation_reads_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    rows = Run.rows
    monkeypatch.setattr(Run, "rows", lambda run, kind: read.append(kind) or rows(run, kind))
    counts = []
    for steps in (2, 6):
        with Run.create(tmp_path / str(steps), {}) as run:
            training(run, replace(PLAN, steps=steps, eval_every=100)).run()
        counts.append(len(read))
        read.clear()
    assert counts[0] == counts[1]


def test_a_run_of_no_steps_only_evaluates(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=0)).run()
        assert (len(run.rows("evals")), run.rows("steps")) == (2, [])


def test_a_run_that_takes_over_the_evaluation_of_its_start_equals_one_that_makes_it(
    finished: Path, tmp_path: Path
) -> None:
    with Run.create(tmp_path / "run", {"seed": 7}) as run:
        training(run, same_start_as=finished).run()
        timings = run.rows("timings")
    assert contents(tmp_path / "run") == contents(finished)
    assert [("evaluation" in row) for row in timings[:3]] == [False, False, True]


def test_the_start_that_is_taken_over_must_be_whole(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "damaged")
    evals = tmp_path / "damaged" / "evals.jsonl"
    evals.write_bytes(evals.read_bytes().replace(b'"value":0.', b'"value":1.', 1))
    with Run.create(tmp_path / "run", {}) as run, pytest.raises(RunError, match=r"evals\.jsonl is damaged"):
        training(run, same_start_as=tmp_path / "damaged").run()


class DeafEnv(GuessEnv):
    """A `GuessEnv` for which no action is valid."""

    def apply(self, action: str) -> StepResult:
        return replace(super().apply(action), action_valid=False)


def test_a_start_with_hardly_a_valid_action_is_not_trained_whoever_evaluated_it(tmp_path: Path) -> None:
    plan, envs = replace(PLAN, min_valid_actions=0.5), [DeafEnv("validation")]
    with Run.create(tmp_path / "base", {}) as run:
        training(run, replace(plan, steps=0), eval_envs=envs).run()
    with Run.create(tmp_path / "run", {}) as run, pytest.raises(RunError, match="actions are valid before training"):
        training(run, plan, same_start_as=tmp_path / "base").run()


def test_evaluations_between_start_and_end_are_of_the_first_tasks_and_change_nothing_else(
    finished: Path, tmp_path: Path
) -> None:
    with Run.create(tmp_path / "run", {"seed": 7}) as run:
        training(run, replace(PLAN, eval_tasks_between=2)).run()
        few, whole = run.rows("evals"), read_rows(finished, "evals")
    assert [row["tasks"] for row in few] == [5, 5, 2, 2, 5, 5]
    for fewer, row in zip(few, whole, strict=True):
        assert fewer["outcomes"] == row["outcomes"][: fewer["tasks"]]
    newest = "checkpoints/step-000006/trainer/state.json"
    for name in ("episodes.jsonl", "steps.jsonl", newest):
        assert (tmp_path / "run" / name).read_bytes() == (finished / name).read_bytes()


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, eval_every=1), trainer=OvershootingTrainer()).run()
    trained = {which: read_checkpoint(tmp_path, which, load) for which in ("best", "newest")}
    assert {which: trainer.updates for which, trainer in trained.items() if trainer} == {"best": 3, "newest": 6}
    assert read_summary(tmp_path)["best"]["step"] == 3
    assert read_summary(tmp_path)["best"]["success"]["value"] == 1.0


def load(checkpoint: Checkpoint) -> GuessTrainer:
    trainer = GuessTrainer()
    trainer.load(checkpoint.trainer)
    return trainer


class Recording(GuessTrainer):
    """Keeps the examples of every update."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[list[Example]] = []

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        self.given.append(list(examples))
        return super().update(examples)


class Everything:
    """A learner that learns from every turn, whatever became of the episode."""

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        return [
            Example(episode, turn.action.tokens, cross_entropy=1.0)
            for episode, member in enumerate(group.members)
            for turn in member.turns
            if turn.action.tokens
        ]


def test_episodes_that_ended_in_an_error_are_counted_and_give_no_examples(tmp_path: Path) -> None:
    trainer = Recording()
    envs = [GuessEnv(broken=range(0, 12, 2))]
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=3), trainer=trainer, envs=envs, learner=Everything()).run()
        rows = run.rows("steps")
    played = [episode.trajectory for episode in read_episodes(tmp_path)]
    broken = [trajectory for trajectory in played if trajectory.stop is Stop.ERROR]
    assert all(trajectory.turns for trajectory in broken)
    assert sum(row["rollout"]["errors"] for row in rows) == len(broken) > 0
    whole = [trajectory for trajectory in played if trajectory not in broken]
    assert sum(map(len, trainer.given)) == sum(len(trajectory.turns) for trajectory in whole)


def test_an_environment_that_always_fails_ends_the_run(tmp_path: Path) -> None:
    with (
        Run.create(tmp_path, {}) as run,
        pytest.raises(RunError, match=r"step 1: each of 8 episodes ended in an error.*dice fell off the table"),
    ):
        training(run, envs=[GuessEnv(broken=range(12))]).run()
    assert len(list(read_episodes(tmp_path))) == 8


def test_an_evaluation_environment_that_always_fails_ends_the_run(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run, pytest.raises(RunError, match="step 0: each of 5 episodes"):
        training(run, eval_envs=[GuessEnv(broken=range(12))]).run()


class Crammed(GuessTrainer):
    """A trainer whose policies have no room for any prompt."""

    def policy(self, *, temperature: float) -> GuessPolicy:
        policy = super().policy(temperature=temperature)
        policy.context_length, policy.count = 8, lambda prompt: 9  # type: ignore[attr-defined]
        return policy


def test_a_run_without_a_single_turn_ends(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run, pytest.raises(RunError, match="step 0: none of 5 episodes had a turn"):
        training(run, replace(PLAN, steps=None, turn_budget=5), trainer=Crammed()).run()


def test_examples_of_different_groups_have_different_episodes(tmp_path: Path) -> None:
    trainer = Recording()
    with Run.create(tmp_path, {}) as run:
        training(run, trainer=trainer).run()
    episodes = [episode for episode in read_episodes(tmp_path) if episode.step == 1]
    spoken_of = [
        (index, episode.trajectory.turns[finding.turn].action.tokens)
        for index, episode in enumerate(episodes)
        for finding in episode.diagnosis.findings
        if finding.text()
    ]
    assert [(example.episode, example.tokens) for example in trainer.given[0]] == spoken_of


def test_a_group_that_is_too_small_for_the_learner_is_refused(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run, pytest.raises(ConfigError, match="group_size = 1 leaves GRPO nothing to"):
        training(run, replace(PLAN, group_size=1), learner=GRPO())


def test_grpo_learns_without_a_reflector(tmp_path: Path) -> None:
    trainer = Recording()
    with Run.create(tmp_path, {}) as run:
        training(run, trainer=trainer, reflector=None, learner=GRPO()).run()
    assert any(example.policy_gradient for examples in trainer.given for example in examples)


def test_a_reflector_with_nothing_to_say_is_reported(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=1), reflector=Mute(), callback=callback).run()
        (row,) = run.rows("steps")
    assert row["reflection"] == {"turns_with_finding": 0.0, "episodes_with_finding": 0.0, "problems": 0, "tokens": 0}
    assert row["update"]["tokens_with_loss"] == 0
    assert callback.warnings == [
        "step 1: the reflector found nothing to say about any of 8 episodes",
        "step 1: no episode gave anything to learn from; the weights stay as they are",
    ]


def test_a_reflector_that_leaves_episodes_out_ends_the_run_by_name(tmp_path: Path) -> None:
    class Short:
        name = "short"

        def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
            return [Diagnosis(self.name)] * (len(trajectories) - 1)

    with (
        Run.create(tmp_path, {}) as run,
        pytest.raises(ConfigError, match=r"the reflector short must return a list of 8 hero\.types\.Diagnosis"),
    ):
        training(run, reflector=Short()).run()


def test_turns_that_are_too_long_are_reported(tmp_path: Path) -> None:
    class Short(GuessTrainer):
        def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
            return {**super().update(examples), "turns_too_long": 3.0 if self.updates == 2 else 0.0}

    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=3), trainer=Short(), callback=callback).run()
    expected = "step 2: 3 turns are not distilled: with hindsight they exceed the model's context"
    assert callback.warnings == [expected]


@pytest.mark.parametrize(("read", "warned"), [(100.0, True), (99.0, False)])
def test_a_teacher_that_reads_every_turn_by_itself_is_reported_once(tmp_path: Path, read: float, warned: bool) -> None:
    class Counting(GuessTrainer):
        def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
            counts = {"turns_distilled": 9.0, "teacher_tokens": read, "teacher_tokens_apart": 100.0}
            return {**super().update(examples), **counts}

    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=2), trainer=Counting(), callback=callback).run()
    assert [("reads each turn by itself" in text) for text in callback.warnings] == [True] * warned


class Seeded(GuessTrainer):
    """Remembers which seeds its policies were given, by temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds: list[tuple[float, frozenset[int]]] = []

    def policy(self, *, temperature: float) -> GuessPolicy:
        policy = super().policy(temperature=temperature)
        act = policy.act

        def listening(prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
            self.seeds.append((temperature, frozenset(seeds or ())))
            return act(prompts, seeds)

        policy.act = listening  # type: ignore[method-assign]
        return policy


def test_no_two_actions_of_a_run_share_their_random_numbers(tmp_path: Path) -> None:
    trainer = Seeded()
    with Run.create(tmp_path, {}) as run:
        training(run, trainer=trainer).run()
    drawn = [seed for temperature, seeds in trainer.seeds if temperature for seed in seeds]
    assert len(set(drawn)) == len(drawn) > 100


class Watching(Everything):
    """Keeps the groups that it was given."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        self.groups.append(group)
        return super().examples(group, diagnoses)


class Remembering(Watching):
    """Reads earlier successes."""

    needs_earlier = True


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a sum"])
@pytest.mark.parametrize("watching", [Watching, Remembering])
def test_a_learner_that_asks_for_it_has_the_newest_success_of_earlier_steps(
    tmp_path: Path, watching: type[Watching], inside: bool
) -> None:
    learner = watching()
    with Run.create(tmp_path, {}) as run:
        training(run, learner=Sum(Weighted(learner, 0.5), GRPO()) if inside else learner).run()
    played = list(read_episodes(tmp_path))
    steps = [step for step in range(1, 7) for _ in range(PLAN.episodes // PLAN.group_size)]
    for step, group in zip(steps, learner.groups, strict=True):
        task = group.members[0].task_id
        before = [each.trajectory for each in played if each.step < step and each.trajectory.task_id == task]
        successful = tuple(trajectory for trajectory in before if trajectory.success)
        assert group.earlier == (successful[-1:] if watching is Remembering else ())
    assert any(group.earlier for group in learner.groups) == (watching is Remembering)


class Scheduled(Everything):
    """Keeps the points of the run that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def at(self, progress: float) -> Everything:
        self.asked.append(progress)
        return Everything()

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        raise AssertionError("the learner of a point of the run learns, not this one")


def test_a_learner_that_changes_is_asked_once_per_step(tmp_path: Path) -> None:
    by_steps, by_turns = Scheduled(), Scheduled()
    with Run.create(tmp_path / "steps", {}) as run:
        training(run, learner=by_steps).run()
    assert by_steps.asked == [step / 6 for step in range(6)]
    with Run.create(tmp_path / "turns", {}) as run:
        training(run, replace(PLAN, steps=None, turn_budget=60), learner=by_turns).run()
        turns = [row["turns"] for row in run.rows("steps")]
    assert by_turns.asked == [0.0, *(used / 60 for used in turns[:-1])]


def test_more_evaluation_tasks_than_there_are_are_refused(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run, pytest.raises(ConfigError, match="eval_tasks = 13, but the split has 12"):
        training(run, replace(PLAN, eval_tasks=13))


class Deaf(GuessTrainer):
    """A trainer whose teacher stops to follow the diagnoses after two updates."""

    def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
        followed = 0.9 if self.updates < 2 else 0.1
        return {**super().update(examples), "turns_faulted": 20.0, "turns_advised": 20.0, "followed": followed}


def test_a_run_whose_teacher_does_not_follow_warns_once_and_stops_with_a_whole_evaluation(tmp_path: Path) -> None:
    callback = Listening()
    plan = replace(PLAN, steps=9, eval_every=4, eval_tasks_between=2)
    with Run.create(tmp_path, {}) as run:
        assert training(run, plan, trainer=Deaf(), callback=callback).run()
        steps, evals = run.rows("steps"), run.rows("evals")
    assert ["few_follow" in row["alarms"] for row in steps] == [False, False, True, True, True]
    warning = "step 3: the teacher takes 10 % of the advice that it is shown; the rest teaches nothing"
    assert [text for text in callback.warnings if "advice" in text] == [warning]
    assert [(row["step"], row["mode"], row["tasks"]) for row in evals[2:]] == [
        (4, "sampled", 2), (5, "sampled", 5), (5, "greedy", 5),
    ]  # fmt: skip
    summary = read_summary(tmp_path)
    assert (summary["steps"], summary["best"]["step"]) == (5, best_step(evals))
    assert summary["stopped"].startswith("3 steps in a row, the teacher took less than 20 % of the advice")


def test_a_run_whose_teacher_does_not_follow_goes_on_where_it_should_only_warn(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, when_few_follow="warn"), trainer=Deaf()).run()
    assert (read_summary(tmp_path)["steps"], read_summary(tmp_path)["stopped"]) == (6, "")


def test_a_run_that_is_done_has_not_stopped_early(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=5), trainer=Deaf()).run()
    assert (read_summary(tmp_path)["steps"], read_summary(tmp_path)["stopped"]) == (5, "")


def test_a_run_far_below_its_best_warns(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, FALLING, trainer=OvershootingTrainer(), callback=callback).run()
    (warning,) = [text for text in callback.warnings if "below the best" in text]
    assert re.fullmatch(
        r"step 5: success, sampled, is \d+\.0 points \[\d+\.\d, \d+\.\d\] below the best, that after step 3", warning
    )
    assert (read_summary(tmp_path)["steps"], read_summary(tmp_path)["stopped"]) == (9, "")


@pytest.mark.parametrize("times", [1, 3])
def test_a_run_far_below_its_best_stops_after_so_many_evaluations_where_asked_to(tmp_path: Path, times: int) -> None:
    with Run.create(tmp_path / "whole", {}) as run:
        training(run, replace(FALLING, eval_tasks_between=None), trainer=OvershootingTrainer()).run()
        whole = run.rows("evals")
    with Run.create(tmp_path / "run", {}) as run:
        assert training(run, replace(FALLING, stop_when_worse=times), trainer=OvershootingTrainer()).run()
        evals = run.rows("evals")
    last = 4 + times
    assert [(row["step"], row["mode"], row["tasks"]) for row in evals[-3:]] == [
        (last - 1, "sampled", 10), (last, "sampled", 12), (last, "greedy", 12),
    ]  # fmt: skip
    # The rest of the tasks is played as if it had been played with the others.
    assert evals[-2]["outcomes"] == next(row["outcomes"] for row in whole if row["step"] == last)
    summary = read_summary(tmp_path / "run")
    assert (summary["steps"], summary["best"]["step"]) == (last, 3)
    assert [row["stopped"] for row in evals if "stopped" in row] == [summary["stopped"]] * 2
    assert summary["stopped"].startswith(f"{times} evaluations in a row were far below the best; success, sampled, is")


def test_a_run_that_stopped_is_finished(tmp_path: Path) -> None:
    plan = replace(FALLING, stop_when_worse=1)
    with Run.create(tmp_path, {}) as run:
        training(run, plan, trainer=OvershootingTrainer()).run()
    before = contents(tmp_path)
    trainer = OvershootingTrainer()
    with Run.resume(tmp_path) as run:
        assert training(run, plan, trainer=trainer).run()
    assert (trainer.updates, contents(tmp_path)) == (5, before)
