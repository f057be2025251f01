"""The loop: equal seeds, sudden death, budgets, broken environments."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.learners import GRPO, Distillation
from hero.errors import ConfigError, RunError, UnavailableError
from hero.plan import Plan, Purpose
from hero.reflect.rules import RulesReflector
from hero.runs.reader import read_episodes, read_rows
from hero.runs.writer import Run
from hero.train import Callback, Phase, Training
from hero.types import Action, Diagnosis, Group, Message, Stop, Trajectory, Turn
from tests.doubles import GuessEnv, GuessPolicy, GuessTrainer

PLAN = Plan(
    steps=6,
    turn_budget=None,
    episodes=8,
    group_size=2,
    eval_every=2,
    eval_tasks=5,
    temperature=1.0,
    max_turns=3,
    seed=7,
)


def training(run: Run, plan: Plan = PLAN, **changes: Any) -> Training:
    parts: dict[str, Any] = {
        "run_dir": run,
        "plan": plan,
        "trainer": GuessTrainer(),
        "reflector": RulesReflector(),
        "learner": Distillation(),
        "envs": [GuessEnv() for _ in range(3)],
        "eval_envs": [GuessEnv("validation") for _ in range(2)],
    }
    return Training(**(parts | changes))


def contents(path: Path) -> dict[str, bytes]:
    """All that equal runs have in common."""
    files = {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != "timings.jsonl"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted."""
    path = tmp_path_factory.mktemp("finished") / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run).run()
    return path


def test_it_gets_better_and_says_so(finished: Path) -> None:
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
    assert evaluated == [(step, mode) for step in (0, 2, 4, 6) for mode in ("sampled", "greedy")]
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


@pytest.mark.parametrize("after", range(7))
def test_a_run_that_was_told_to_stop_goes_on_as_if_it_had_not(finished: Path, tmp_path: Path, after: int) -> None:
    path, asked = tmp_path / "run", iter(range(100))
    with Run.create(path, {"seed": 7}) as run:
        assert training(run).run(interrupted=lambda: next(asked) == after) == (after == 6)
    with Run.resume(path, {}) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


class Death(BaseException):
    """Stands for sudden death at a place of our choice."""


@settings(max_examples=20)
@given(st.integers(0, 250))
def test_a_run_that_dies_anywhere_goes_on_as_if_it_had_not(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, calls: int
) -> None:
    class Mortal(Callback):
        left = calls

        def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
            self.age()

        def on_turn(self, episode: int, turn: Turn) -> None:
            self.age()

        def on_step_end(self, row: Mapping[str, Any]) -> None:
            self.age()

        def on_evaluate(self, row: Mapping[str, Any]) -> None:
            self.age()

        def age(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Death

    path = tmp_path_factory.mktemp("mortal") / "run"
    with Run.create(path, {"seed": 7}) as run:
        try:
            training(run, callback=Mortal()).run()
        except Death:
            assert not (path / "summary.json").exists()
    with Run.resume(path, {}) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


class Talking(Callback):
    """Prints a line whenever something happens."""

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        print(step, phase, flush=True)  # noqa: T201

    def on_turn(self, episode: int, turn: Turn) -> None:
        print(episode, flush=True)  # noqa: T201


SCRIPT = """
    from pathlib import Path
    from hero.runs.writer import Run
    from tests.test_train import Talking, training
    path = Path({path!r})
    make = Run.resume if (path / "config.json").exists() else Run.create
    with make(path, {{"seed": 7}}) as run:
        print("started", flush=True)
        training(run, callback=Talking()).run()
"""


def test_kill_9_at_random_moments_changes_nothing(finished: Path, tmp_path: Path) -> None:
    path, moments = tmp_path / "run", random.Random(0)
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT.format(path=str(path)))]
    deaths = 0
    for _ in range(20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for _ in range(moments.randint(1, 60)):
                process.stdout.readline()
            process.kill()
            if process.wait() == 0:
                break
            deaths += 1
        if (path / "summary.json").exists():
            break
        if deaths == 4:  # enough: the last one may live
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert deaths >= 1
    assert contents(path) == contents(finished)


def test_a_finished_run_is_resumed_without_a_change(finished: Path) -> None:
    before = contents(finished)
    trainer = GuessTrainer()
    with Run.resume(finished, {}) as run:
        assert training(run, trainer=trainer).run()
    assert contents(finished) == before
    assert trainer.updates == 6


@pytest.mark.parametrize("budget", [1, 40, 100])
def test_no_step_begins_beyond_the_turn_budget(tmp_path: Path, budget: int) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=None, turn_budget=budget)).run()
        turns = [row["turns"] for row in run.rows("steps")]
        evaluated = run.rows("evals")[-1]["turns"]
    assert turns[-1] >= budget
    assert all(used < budget for used in turns[:-1])
    assert evaluated == turns[-1]


def test_no_steps_evaluate_and_do_nothing_else(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=0)).run()
        assert (len(run.rows("evals")), run.rows("steps")) == (2, [])


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
        (place, episode.trajectory.turns[finding.turn].action.tokens)
        for place, episode in enumerate(episodes)
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


class Mute:
    """Has nothing to say."""

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        return [Diagnosis("mute")] * len(trajectories)


class Listening(Callback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.phases: list[tuple[int, Phase]] = []
        self.turns = 0

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self.phases.append((step, phase))

    def on_turn(self, episode: int, turn: Turn) -> None:
        self.turns += 1

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)


def test_a_reflector_with_nothing_to_say_is_reported(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=1), reflector=Mute(), callback=callback).run()
        (row,) = run.rows("steps")
    assert row["reflection"] == {"turns_with_finding": 0.0, "episodes_with_finding": 0.0, "tokens": 0}
    assert row["update"]["tokens_with_loss"] == 0
    assert callback.warnings == [
        "step 1: the reflector found nothing to say about any of 8 episodes",
        "step 1: no episode gave anything to learn from; the weights stay as they are",
    ]


@pytest.mark.parametrize("method", ["on_phase_begin", "on_turn", "on_step_end", "on_evaluate", "on_warning"])
def test_a_callback_that_raises_ends_nothing(
    finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    class Broken(Callback):
        """Raises whenever it is told of one thing."""

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    setattr(Broken, method, fail)
    reflector = Mute() if method == "on_warning" else RulesReflector()
    with Run.create(tmp_path / "run", {"seed": 7}) as run:
        assert training(run, reflector=reflector, callback=Broken()).run()
    (warned,) = caplog.messages
    assert warned == "Broken failed (OSError: [Errno 28] No space left on device); training goes on without it"
    if method != "on_warning":
        assert contents(tmp_path / "run") == contents(finished)


class Cut(GuessEnv):
    """An environment whose service is given up in the ninth episode."""

    started = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        Cut.started += 1
        if Cut.started == 9:
            raise UnavailableError("the user does not answer")
        return super().reset(seed=seed, options=options)


def test_a_run_whose_service_is_given_up_stops_and_goes_on_later(finished: Path, tmp_path: Path) -> None:
    Cut.started, path = 0, tmp_path / "run"
    with Run.create(path, {"seed": 7}) as run, pytest.raises(UnavailableError, match="does not answer"):
        training(run, envs=[Cut() for _ in range(3)]).run()
    assert Cut.started == 9
    with Run.resume(path, {}) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


@pytest.mark.parametrize("steps", [2, 4])
def test_a_run_that_is_extended_equals_one_that_was_longer_from_the_start(
    finished: Path, tmp_path: Path, steps: int
) -> None:
    path = tmp_path / "run"
    with Run.create(path, {"seed": 7}) as run:
        assert training(run, replace(PLAN, steps=steps)).run()
    with Run.resume(path, {}) as run:
        assert training(run).run()
    assert contents(path) == contents(finished)


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
            counts = {"turns_with_finding": 9.0, "teacher_tokens": read, "teacher_tokens_apart": 100.0}
            return {**super().update(examples), **counts}

    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=2), trainer=Counting(), callback=callback).run()
    assert [("reads each turn by itself" in text) for text in callback.warnings] == [True] * warned


def test_an_observer_sees_every_phase_and_every_turn(tmp_path: Path) -> None:
    callback = Listening()
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=1), callback=callback).run()
        turns = run.rows("steps")[0]["turns"] + sum(
            outcome["turns"] for row in run.rows("evals") for outcome in row["outcomes"]
        )
    assert callback.phases == [
        (0, "evaluation"), (1, "rollout"), (1, "reflection"), (1, "update"), (1, "evaluation"),
    ]  # fmt: skip
    assert callback.turns == turns
    assert callback.warnings == []


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 4), st.integers(1, 50))
def test_tasks_are_drawn_without_repeats_where_there_are_enough(
    seed: int, step: int, groups: int, size: int, num_tasks: int
) -> None:
    plan = replace(PLAN, seed=seed, episodes=groups * size, group_size=size)
    tasks = plan.sample_tasks(step, num_tasks)
    assert tasks == plan.sample_tasks(step, num_tasks)
    assert len(tasks) == groups * size
    assert all(0 <= task.index < num_tasks for task in tasks)
    assert all(len(set(tasks[first : first + size])) == 1 for first in range(0, len(tasks), size))
    assert [task.episode for task in tasks] == list(range(len(tasks)))
    assert len({task.index for task in tasks}) == groups or groups > num_tasks


def test_streams_differ_by_seed_step_and_purpose() -> None:
    streams = {
        replace(PLAN, seed=seed).seed_for(step, purpose)
        for seed in range(5)
        for step in range(20)
        for purpose in Purpose
    }
    assert len(streams) == 5 * 20 * len(Purpose)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "never ends"),
        ({"steps": -1}, "steps = -1 is negative"),
        ({"seed": -1}, "seed = -1 is negative"),
        ({"eval_every": 0}, "eval_every = 0 is too few"),
        ({"episodes": 10**20}, "episodes = 100000000000000000000 is too many"),
        ({"episodes": 10**8, "group_size": 10**8}, "episodes = 100000000 is too many"),
        ({"temperature": 0.0}, "temperature = 0.0 leaves nothing to learn from"),
        ({"temperature": math.nan}, "temperature = nan leaves nothing to learn from"),
        ({"temperature": math.inf}, "temperature = inf leaves nothing to learn from"),
        ({"group_size": 3}, "episodes = 8 cannot be split into groups of 3; give a multiple, such as 9"),
    ],
)
def test_an_impossible_plan_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PLAN, **changes)


def test_more_evaluation_tasks_than_there_are_are_refused(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run, pytest.raises(ConfigError, match="eval_tasks = 13, but the split has 12"):
        training(run, replace(PLAN, eval_tasks=13))
