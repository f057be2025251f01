"""A small training run that a test plays in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hero.distill.learners import Distillation
from hero.plan import Plan
from hero.reflect.rules import RulesReflector
from hero.runs.writer import Run
from hero.train import Callback, Phase, Training
from hero.types import Diagnosis, Trajectory, Turn
from tests.doubles import GuessEnv, GuessTrainer

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

FALLING = replace(PLAN, steps=9, eval_every=1, eval_tasks=12, eval_tasks_between=10)
"""A longer plan, with cheap evaluations, for a trainer that gets worse."""


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
    """Returns the content of each file in which equal runs are equal."""
    files = {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != "timings.jsonl"}


def trained(path: Path) -> dict[str, bytes]:
    """Returns the content of each file in which runs that train alike are equal, however they are evaluated."""
    kept = ("episodes.jsonl", "steps.jsonl")
    return {name: content for name, content in contents(path).items() if name in kept or "/trainer/" in name}


class Mute:
    """A reflector with nothing to say."""

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        return [Diagnosis("mute")] * len(trajectories)


class Listening(Callback):
    """Keeps the arguments of all calls; the turns by phase and episode."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.phases: list[tuple[int, Phase, int]] = []
        self.turns: list[dict[int, list[Turn]]] = []
        self.steps: list[Mapping[str, Any]] = []
        self.evaluations: list[Mapping[str, Any]] = []

    def on_phase_begin(self, step: int, phase: Phase, episodes: int) -> None:
        self.phases.append((step, phase, episodes))
        self.turns.append({})

    def on_turn(self, episode: int, turn: Turn) -> None:
        self.turns[-1].setdefault(episode, []).append(turn)

    def on_step_end(self, row: Mapping[str, Any]) -> None:
        self.steps.append(row)

    def on_evaluate(self, row: Mapping[str, Any]) -> None:
        self.evaluations.append(row)

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)
