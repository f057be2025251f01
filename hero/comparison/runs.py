"""Read what a comparison needs from run directories: success over turns, evaluations, and what the run cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hero.comparison.curve import Curve
from hero.errors import RunError
from hero.runs.reader import Config, check_rows, is_run_dir, read_config, read_episodes, read_rows
from hero.types import Trajectory


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a run, without its evaluations unless an attribute says so.

    Attributes:
        turns: environment turns of training.
        policy_tokens: tokens that the policy read and sampled in training episodes; what an episode repeats of its past
            counts once.
        reflector_tokens: tokens of prompts and answers of the reflector.
        teacher_tokens: tokens that the teacher read, advised actions included.
        training_seconds: wall-clock seconds of rollouts, reflection and updates.
        evaluation_seconds: wall-clock seconds of evaluations.
    """

    turns: float
    policy_tokens: float
    reflector_tokens: float
    teacher_tokens: float
    training_seconds: float
    evaluation_seconds: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as a comparison sees it.

    Attributes:
        settings: the settings in config.json.
        environment: plain JSON that identifies the tasks behind the ids in `evals`.
        weights: SHA-256 of the weights that it started with; "" where it is not known.
        steps, evals: rows of steps.jsonl and evals.jsonl.
    """

    path: Path
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    weights: str
    curve: Curve
    steps: Sequence[Mapping[str, Any]]
    evals: Sequence[Mapping[str, Any]]
    cost: Cost

    @property
    def seed(self) -> int:
        """The seed of the run."""
        seed: int = self.settings["seed"]
        return seed


def read_run(path: Path) -> RunRecord:
    """Reads a run, finished or not.

    Raises:
        RunError: there is no run, or a record of it cannot be read, is missing or was changed.
    """
    check_rows(path, "episodes", "steps", "evals")
    steps, evals = read_rows(path, "steps"), read_rows(path, "evals")
    timings = read_rows(path, "timings")
    cost = Cost(
        turns=steps[-1]["turns"] if steps else 0,
        policy_tokens=sum(_tokens_of(episode.trajectory) for episode in read_episodes(path)),
        reflector_tokens=sum(row["reflection"]["tokens"] for row in steps),
        teacher_tokens=sum(row["update"].get(f"{what}_tokens", 0) for row in steps for what in ("teacher", "advice")),
        training_seconds=sum(row.get(phase, 0.0) for row in timings for phase in ("rollout", "reflection", "update")),
        evaluation_seconds=sum(row.get("evaluation", 0.0) for row in timings),
    )
    config, curve = read_config(path), Curve.of_rows(evals, steps, is_finished(path))
    weights = config.provenance.get("model", {}).get("sha256", "")
    return RunRecord(path, config.settings, _environment(config), weights, curve, steps, evals, cost)


def _environment(config: Config) -> dict[str, Any]:
    """Returns the provenance of a run's environment, and its arguments but for those that only say where data is."""
    provenance = {"env_id": config.settings.get("env"), **config.provenance.get("env", {})}
    located, arguments = provenance.get("arguments", {}), config.settings.get("env_args", {})
    return provenance | {"env_args": {name: value for name, value in arguments.items() if name not in located}}


def is_finished(path: Path) -> bool:
    """Returns whether a run has done what it was started for."""
    return (path / "summary.json").exists()


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Returns the run directories among paths and directly below them, each once.

    They are in the order of the paths, then by name.

    Raises:
        RunError: a path neither is a run directory nor holds one.
    """
    runs: dict[Path, Path] = {}
    for path in paths:
        below = sorted(entry for entry in path.iterdir() if is_run_dir(entry)) if path.is_dir() else []
        if not (is_run_dir(path) or below):
            raise RunError(f"{path} neither is a run directory nor holds one; look for the --out of `hero run`")
        for run in [path] if is_run_dir(path) else below:
            runs.setdefault(run.resolve(), run)
    return list(runs.values())


def _tokens_of(trajectory: Trajectory) -> int:
    """Returns how many tokens were read and sampled in an episode: of a prompt only what the turns before had not."""
    count = 0
    ledger: tuple[int, ...] = ()
    for turn in trajectory.turns:
        if tokens := turn.action.tokens:
            repeated = len(ledger) if tokens.prompt_ids[: len(ledger)] == ledger else 0
            ledger = tokens.prompt_ids + tokens.action_ids
            count += len(ledger) - repeated
    return count
