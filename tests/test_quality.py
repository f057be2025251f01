"""Measures of diagnoses: their formulas, the words that leak, and what a run records of them."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.distill.base import Example
from hero.distill.learners import Distillation
from hero.errors import ConfigError
from hero.quality import Labels, QualityMeter, diagnosis_metrics, frame_words, labels_of, leak, words_of
from hero.runs.writer import Run
from hero.testing import strategies
from hero.types import Action, Diagnosis, Finding, Group, Message, Stop, Tokens, Trajectory, Turn, Verdict
from tests.doubles import WORDS, GuessEnv, GuessPolicy, GuessTrainer
from tests.loop import PLAN, contents, training
from tests.source import modules

USEFUL, UNNECESSARY, INVALID, FAILED = Verdict
SHARES = ("verdicts_right", "faults_found", "faults_praised", "advice_right")
labels = st.sampled_from([True, False, None])


@st.composite
def diagnosed(draw: st.DrawFn) -> tuple[Diagnosis, Labels]:
    """Draws a diagnosis of an episode of up to 5 turns, with labels of its actions and of its advice."""
    actions = draw(st.lists(labels, max_size=5))
    diagnosis = draw(strategies.diagnoses(num_turns=len(actions)))
    return diagnosis, Labels(tuple(actions), {each.turn: draw(labels) for each in diagnosis.findings if each.advice})


def test_a_worked_example() -> None:
    findings = (Finding(0, USEFUL), Finding(1, USEFUL), Finding(2, FAILED, "", "b"), Finding(3, None, "", "c"))
    episode = Diagnosis("", (*findings, Finding(5, INVALID, "", "d")))
    of_episode = Labels((True, False, False, True, False, None), {2: True, 3: False, 5: None})
    assert diagnosis_metrics([(episode, of_episode), (Diagnosis(""), Labels((True,), {}))]) == {
        "verdicts_right": pytest.approx(2 / 3),  # turns 0, 1, 2
        "faults_found": pytest.approx(1 / 3),  # of 1, 2, 4
        "faults_praised": pytest.approx(1 / 3),
        "advice_right": 0.5,
        "wrong_turns": 1.5,
    }


def test_faults_are_neither_found_nor_praised_where_nobody_gives_a_verdict() -> None:
    silent = Diagnosis("", (Finding(0, None, "", "b"),))
    assert diagnosis_metrics([(silent, Labels((False,), {0: True}))]) == {"advice_right": 1.0, "wrong_turns": 1.0}
    assert diagnosis_metrics([(Diagnosis("none"), Labels((False, True), {}))]) == {"wrong_turns": 1.0}


def test_an_environment_that_tells_nothing_gives_no_numbers() -> None:
    episode = Diagnosis("", (Finding(0, FAILED, "", "a"),))
    assert diagnosis_metrics([(episode, Labels((None, None), {0: None}))]) == {}


@given(st.lists(diagnosed(), min_size=1, max_size=4), st.randoms())
def test_shares_are_shares_and_depend_on_no_order(episodes: list[tuple[Diagnosis, Labels]], order: Any) -> None:
    found = diagnosis_metrics(episodes)
    assert all(0 <= found.get(name, 0) <= 1 for name in SHARES)
    assert found.get("faults_found", 0) + found.get("faults_praised", 0) <= 1 + 1e-9
    assert ("wrong_turns" in found) == any(label is not None for _, of in episodes for label in of.actions)
    order.shuffle(episodes)
    assert diagnosis_metrics(episodes) == pytest.approx(found)


@given(st.lists(diagnosed(), min_size=1, max_size=4), st.sampled_from([FAILED, UNNECESSARY, INVALID]))
def test_a_reflector_that_knows_the_labels_is_always_right_and_its_opposite_never(
    episodes: list[tuple[Diagnosis, Labels]], fault: Verdict
) -> None:
    for knows in (True, False):
        written = []
        for _, of_episode in episodes:
            verdicts = [USEFUL if label is knows else fault for label in of_episode.actions]
            written.append((Diagnosis("", tuple(map(Finding, range(len(verdicts)), verdicts))), of_episode))
        found = diagnosis_metrics(written)
        assert found.get("verdicts_right", float(knows)) == knows
        assert found.get("faults_found", float(knows)) == knows
        assert found.get("faults_praised", float(not knows)) == (not knows)


def test_an_environment_that_raises_is_named() -> None:
    def is_right(trajectory: Trajectory, turn: int, action: str) -> bool:
        raise KeyError(action)

    turn = Turn((), Action("left"), "", 0.0)
    with pytest.raises(ConfigError, match=r"is_right of maze raised KeyError: 'left'; run .*check_text_env"):
        labels_of(is_right, Trajectory("maze", "0", 0, (turn,), Stop.MAX_TURNS), Diagnosis(""))


def played(*turns: tuple[str, str]) -> Trajectory:
    """Returns an episode of prompts and actions."""
    prompts = [(Message("system", "Go"), Message("user", prompt)) for prompt, _ in turns]
    made = [Turn(prompt, Action(action), "", 0.0) for prompt, (_, action) in zip(prompts, turns, strict=True)]
    return Trajectory("maze", "0", 0, tuple(made), Stop.MAX_TURNS)


def test_words_leak_that_only_privileged_texts_show() -> None:
    episode = played(("a red door", "open[red_door] review: Too red"), ("", "GO on, review!"))
    assert leak([episode], words_of("instead: red; Review TOO go")) == 3 / 9
    assert leak([episode], frozenset()) == 0
    assert leak([played(), played(("", "!"))], words_of("red !")) == 0


@given(st.lists(st.tuples(strategies.texts, strategies.texts), max_size=4), strategies.texts, strategies.texts)
def test_the_leak_grows_with_the_privileged_words_and_vanishes_with_what_prompts_show(
    turns: list[tuple[str, str]], privileged: str, more: str
) -> None:
    some = leak([played(*turns)], words_of(privileged))
    assert 0 <= some <= leak([played(*turns)], words_of(privileged) | words_of(more)) <= 1
    assert leak([played(*((f"{prompt} {privileged}", action) for prompt, action in turns))], words_of(privileged)) == 0


def test_the_words_that_a_teacher_always_writes_are_known() -> None:
    tokens = Tokens((1,), (2,), (-0.1,))
    prompt = (Message("user", "page"),)
    turns = tuple(Turn(prompt, Action("x", tokens), f"next {at}", 0.0) for at in "uvw")
    group = Group((Trajectory("maze", "0", 0, turns, Stop.MAX_TURNS),))
    diagnosis = Diagnosis("", tuple(Finding(at, FAILED, f"cause{at}", "left") for at in range(3)))
    found = frame_words(Distillation().examples(group, [diagnosis]))
    assert {"hindsight", "mind", "page", "next", "failed", "left"} <= found
    assert found.isdisjoint({"u", "v", "w", "cause0", "cause1", "cause2"})
    assert frame_words([Example(0, tokens, cross_entropy=1.0)]) == frozenset()


def test_what_a_teacher_always_writes_can_leak_from_the_second_step_on() -> None:
    tokens = Tokens((1,), (2,), (-0.1,))
    example = Example(0, tokens, teacher=(Message("user", "With hindsight"),), distillation=1.0)
    meter = QualityMeter(lambda *asked: None)
    steps = [meter.measure([(played(("", "go with")), Diagnosis(""))], [example]) for _ in range(2)]
    assert steps == [{"unnecessary_turns": 0.0, "leak": 0.0}, {"unnecessary_turns": 0.0, "leak": 0.5}]


class Telling:
    """A reflector that advises one of the colours, which no prompt shows; by the first seed of a step."""

    name = "telling"

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        finding = Finding(0, FAILED, "wrong", WORDS[trajectories[0].seed % len(WORDS)])
        return [Diagnosis(self.name, (finding,)) for _ in trajectories]


def test_a_run_records_the_quality_of_each_step(tmp_path: Path) -> None:
    with Run.create(tmp_path, {}) as run:
        training(run, reflector=Telling()).run()
        rows = [row["quality"] for row in run.rows("steps")]
    assert [set(row) for row in rows] == [{*SHARES, "wrong_turns", "unnecessary_turns", "leak"}] * 6
    assert 0 < fmean(row["advice_right"] for row in rows) < 1
    assert rows[0]["leak"] == 0.0
    assert 0 < fmean(row["leak"] for row in rows[1:]) < 1


@pytest.mark.parametrize("after", [1, 5])
def test_a_resumed_run_knows_what_could_leak_from_the_step_before(tmp_path: Path, after: int) -> None:
    whole, parts, asked = tmp_path / "whole", tmp_path / "parts", iter(range(10))
    with Run.create(whole, {}) as run:
        training(run, reflector=Telling()).run()
    with Run.create(parts, {}) as run:
        training(run, reflector=Telling()).run(interrupted=lambda: next(asked) == after)
    with Run.resume(parts) as run:
        training(run, reflector=Telling()).run()
    assert contents(whole) == contents(parts)


def reachable(*values: object) -> list[object]:
    """Returns all objects that values lead to, other than code."""
    seen: dict[int, object] = {}
    found = list(values)
    while found:
        value = found.pop()
        if id(value) not in seen and not isinstance(value, type | ModuleType | FunctionType | BuiltinFunctionType):
            seen[id(value)] = value
            found += gc.get_referents(value)
    return list(seen.values())


class Guarded:
    """Notes whether what it is given leads to an environment."""

    def __init__(self) -> None:
        self.given: list[bool] = []

    def note(self, *values: object) -> None:
        self.given.append(any(isinstance(value, gymnasium.Env) for value in reachable(*values)))


def test_no_reflector_learner_teacher_or_policy_can_reach_an_environment(tmp_path: Path) -> None:
    guards = {name: Guarded() for name in ("reflector", "learner", "teacher", "policy", "trainer")}

    class Reflector(Telling):
        def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
            guards["reflector"].note(trajectories)
            return super().reflect(trajectories)

    class Teacher:
        def context(self, *given: Any, **more: Any) -> tuple[Message, ...]:
            guards["teacher"].note(given, more)
            return (Message("user", "page"),)

    class Learner(Distillation):
        def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
            guards["learner"].note(group, diagnoses)
            return super().examples(group, diagnoses)

    class Policy(GuessPolicy):
        def act(self, prompts: Sequence[Sequence[Message]], seeds: Sequence[int] | None = None) -> list[Action]:
            guards["policy"].note(prompts, seeds)
            return super().act(prompts, seeds)

    class Trainer(GuessTrainer):
        def policy(self, *, temperature: float) -> GuessPolicy:
            return Policy(super().policy(temperature=temperature).skill)

        def update(self, examples: Sequence[Example]) -> Mapping[str, float]:
            guards["trainer"].note(examples)
            return super().update(examples)

    parts = {"reflector": Reflector(), "learner": Learner(Teacher()), "trainer": Trainer()}
    with Run.create(tmp_path, {}) as run:
        training(run, replace(PLAN, steps=2), **parts).run()
    assert all(guard.given for guard in guards.values())
    assert [name for name, guard in guards.items() if any(guard.given)] == []
    assert any(isinstance(value, gymnasium.Env) for value in reachable([GuessEnv().is_right]))


def test_only_measuring_asks_for_labels() -> None:
    asking = {name for name, path in modules().items() if "is_right" in path.read_text("utf-8")}
    blocks = {name for name in asking if not name.startswith(("hero.envs.", "tests.", "benchmarks."))}
    assert blocks == {"hero.quality", "hero.train", "hero_cli.check"}
