"""`hero run --log`: what a run records reaches TensorBoard and Weights & Biases, each point once."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hero.runs.reader import read_config, read_rows
from hero_cli.logs import PACKAGES, evaluation_scalars, scalars, step_scalars
from tests.cli.conftest import FAST, Hero, contents, refused
from tests.cli.test_processes import RUN, shared_by_two
from tests.doubles import GuessEnv

Point = tuple[str, int, float]


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed, and not in the lock")


class Logbook:
    """Stands for both libraries: keeps what they are given.

    Attributes:
        points: names, steps and values.
        opened: the arguments with which each start opened the log.
        held: the number of records that Weights & Biases says that it holds.
        broken: the method that raises; "" for none.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.opened: list[dict[str, Any]] = []
        self.texts: list[tuple[str, int]] = []
        self.closed = 0
        self.held = 0
        self.broken = ""

    def check(self, method: str) -> None:
        if method == self.broken:
            raise RuntimeError("no network")

    def open(self, *arguments: Any, **options: Any) -> Any:
        self.check("open")
        self.opened.append({"arguments": arguments, **options})
        return SimpleNamespace(
            add_scalar=self.add_scalar,
            add_text=lambda name, text, step: self.texts.append((text, step)),
            alert=lambda title, text, level: self.texts.append((text, -1)),
            close=self.close,
            finish=self.close,
            define_metric=lambda name, step_metric: None,
            log=lambda row: [
                self.add_scalar(name, value, row["step"]) for name, value in row.items() if name != "step"
            ],
            step=self.held,
        )

    def add_row(self, row: dict[str, Any]) -> None:
        step = row.pop("step")
        for name, value in row.items():
            self.add_scalar(name, value, step)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.check("write")
        self.points.append((name, step, value))

    def close(self) -> None:
        self.check("close")
        self.closed += 1


@pytest.fixture
def logbook(monkeypatch: pytest.MonkeyPatch) -> Logbook:
    """Puts a logbook in the place of both libraries."""
    book = Logbook()
    for name, names in (
        ("tensorboardX", {"SummaryWriter": book.open}),
        ("wandb", {"init": book.open, "Settings": lambda **options: options}),
    ):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None, origin="a double")
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
    return book


def recorded(run: Path) -> list[Point]:
    """Returns the points that the log of a run must have, sorted."""
    steps = [(row["step"], step_scalars(row)) for row in read_rows(run, "steps")]
    evals = [(row["step"], evaluation_scalars(row)) for row in read_rows(run, "evals")]
    return sorted((name, step, value) for step, values in steps + evals for name, value in values.items())


def test_the_names_of_numbers_are_their_paths() -> None:
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    row = {"step": 3, "turns": 40, "rollout": {"success": 0.5, "metrics": {"price": 1}}, "alarms": ["leak"], "x": None}
    assert step_scalars(row) == {"turns": 40, "rollout/success": 0.5, "rollout/metrics/price": 1, "alarms/leak": 1}
    row = {"step": 3, "turns": 40, "mode": "sampled", "success": estimate, "outcomes": [{}], "stopped": "worse"}
    assert evaluation_scalars(row) == {
        "eval/sampled/success": 0.5,
        "eval/sampled/success/low": 0.25,
        "eval/sampled/success/high": 0.75,
    }
    assert scalars({"a": {"b": True}}, "") == {"a/b": 1.0}


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_every_record_is_logged_and_the_run_is_the_same(
    finished: Path, hero: Hero, model: str, tmp_path: Path, logbook: Logbook, kind: str
) -> None:
    result = hero("run", "--model", model, "--steps", 4, "--out", "run", "--log", kind, *FAST)
    assert result.exit_code == 0, result.output
    assert "warning: --log" not in result.output
    assert sorted(logbook.points) == recorded(finished)
    assert {"turns", "rollout/success", "update/mismatch", "eval/greedy/score/low"} <= {
        name for name, *_ in logbook.points
    }
    assert logbook.closed == 1
    shutil.rmtree(tmp_path / "run" / "log", ignore_errors=True)
    assert contents(tmp_path / "run") == contents(finished)


def test_a_finished_run_is_reported_though_ctrl_c_comes_twice_while_its_log_closes(
    hero: Hero, model: str, tmp_path: Path, logbook: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(logbook, "close", close)
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", "--log", "tensorboard", *FAST)
    assert result.exit_code == 0, result.output
    assert "validation after 1 step" in result.stdout
    assert "stopped; go on with" not in result.output


def test_alarms_are_logged_with_their_text(hero: Hero, model: str, logbook: Logbook) -> None:
    arguments = [*FAST, "--reflector", "self", "--reflector-arg", "max_new_tokens=8"]
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", "--log", "tensorboard", *arguments)
    assert result.exit_code == 0, result.output
    assert ("alarms/no_findings", 1, 1.0) in logbook.points
    ((text, step),) = [each for each in logbook.texts if "found nothing to say" in each[0]]
    assert step == 1
    assert f"warning: {text}" in result.stdout


def test_each_start_of_tensorboard_supersedes_the_log_before(
    hero: Hero, model: str, tmp_path: Path, logbook: Logbook
) -> None:
    run = ["run", "--model", model, "--out", "run", *FAST]
    assert hero(*run, "--steps", 2).exit_code == 0
    for steps in (3, 4):
        logbook.points.clear()
        result = hero("run", "--resume", "--out", "run", "--steps", steps, "--log", "tensorboard")
        assert result.exit_code == 0, result.output
        assert sorted(logbook.points) == recorded(tmp_path / "run")
    assert [each["purge_step"] for each in logbook.opened] == [0, 0]


def test_a_resumed_run_sends_what_weights_and_biases_lacks(
    hero: Hero, model: str, tmp_path: Path, logbook: Logbook
) -> None:
    result = hero("run", "--model", model, "--steps", 4, "--out", "run", "--log", "wandb", *FAST)
    assert result.exit_code == 0, result.output
    whole = list(logbook.points)
    (opened,) = logbook.opened
    assert opened["config"] == dict(read_config(tmp_path / "run").settings)
    records = 4 + 5  # steps and evaluations
    for cut, held in product((False, True), (0, 5, records)):
        shutil.copytree(tmp_path / "run", tmp_path / "again")
        if cut:
            shutil.rmtree(tmp_path / "again" / "checkpoints" / "step-000004")
        logbook.points.clear()
        logbook.held = held
        sizes = [len(step_scalars(row)) for row in read_rows(tmp_path / "run", "steps")]
        evals = [len(evaluation_scalars(row)) for row in read_rows(tmp_path / "run", "evals")]
        order = [*evals[:2], *sizes[:2], evals[2], *sizes[2:], *evals[3:]]
        assert hero("run", "--resume", "--out", "again", "--log", "wandb").exit_code == 0
        assert logbook.points == whole[sum(order[:held]) :]
        assert logbook.opened[-1]["id"] == opened["id"]
        shutil.rmtree(tmp_path / "again")


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
@pytest.mark.parametrize("broken", ["open", "write", "close"])
def test_a_log_that_fails_is_one_warning(
    finished: Path, hero: Hero, model: str, tmp_path: Path, logbook: Logbook, kind: str, broken: str
) -> None:
    logbook.broken = broken
    result = hero("run", "--model", model, "--steps", 4, "--out", "run", "--log", kind, *FAST)
    assert result.exit_code == 0, result.output
    assert result.output.count("no network") == 1
    assert "step 4/4" in result.stdout  # the display goes on
    shutil.rmtree(tmp_path / "run" / "log", ignore_errors=True)
    assert contents(tmp_path / "run") == contents(finished)


def test_a_stopped_run_names_the_command_that_goes_on_in_the_same_log(
    hero: Hero, model: str, monkeypatch: pytest.MonkeyPatch, logbook: Logbook
) -> None:
    step = GuessEnv.step

    def pressing(env: GuessEnv, action: str) -> tuple[str, float, bool, bool, dict[str, object]]:
        if env.split == "train" and not pressed:
            pressed.append(True)
            signal.raise_signal(signal.SIGINT)
        return step(env, action)

    pressed: list[bool] = []
    monkeypatch.setattr(GuessEnv, "step", pressing)
    result = hero("run", "--model", model, "--out", "run", "--log", "tensorboard", *FAST)
    assert result.exit_code == 130
    assert "go on with: hero run --resume --out run --log tensorboard\n" in result.stderr
    assert logbook.closed == 1


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
@pytest.mark.parametrize("folder", [False, True], ids=["nothing", "a directory of that name"])
def test_a_missing_package_is_named_before_anything_is_loaded(
    hero: Hero, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, folder: bool
) -> None:
    monkeypatch.setitem(PACKAGES, kind, "absent_logger")  # type: ignore[misc]
    monkeypatch.setattr("hero_cli.run.settings_of", lambda given: pytest.fail("settings were read"))
    if folder:
        (tmp_path / "path" / "absent_logger").mkdir(parents=True)
        monkeypatch.syspath_prepend(str(tmp_path / "path"))
    for command in ("run", "compare"):
        refused(
            hero(command, "--out", "run", "--log", kind, "--learner", "grpo", *FAST),
            f"--log {kind} needs absent_logger, which is not installed; run: pip install 'hero-agents[{kind}]'",
        )
    assert not (tmp_path / "run").exists()


def test_a_run_loads_no_logger_unless_it_is_asked_for(hero: Hero, model: str, logbook: Logbook, tmp_path: Path) -> None:
    assert hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST).exit_code == 0
    assert logbook.opened == []
    assert not (tmp_path / "run" / "log").exists()


WRITER = """
import os, pathlib

class SummaryWriter:
    def __init__(self, folder, **options):
        pathlib.Path(folder).mkdir(exist_ok=True)
        pathlib.Path(folder, "rank-" + os.environ["RANK"]).touch()

    def add_scalar(self, name, value, step): ...
    def close(self): ...
"""


def test_of_several_processes_the_first_one_writes_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "tensorboardX.py").write_text(WRITER, "utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")]))
    run = tmp_path / "run"
    shared_by_two(*RUN, "--reflector", "rules", "--steps", "1", "--out", str(run), "--log", "tensorboard")
    assert [file.name for file in (run / "log").iterdir()] == ["rank-0"]


@needs("tensorboard")
@needs("tensorboardX")
def test_tensorboard_reads_each_point_once_though_a_run_was_cut_off(hero: Hero, model: str, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = hero("run", "--model", model, "--steps", 4, "--out", "run", "--log", "tensorboard", *FAST)
    assert result.exit_code == 0, result.output
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-000004")
    assert hero("run", "--resume", "--out", "run", "--steps", 6, "--log", "tensorboard").exit_code == 0
    log = EventAccumulator(str(tmp_path / "run" / "log"), size_guidance={"tensors": 0, "scalars": 0})
    log.Reload()
    read = [(name, each.step, each.value) for name in log.Tags()["scalars"] for each in log.Scalars(name)]
    expected = recorded(tmp_path / "run")
    assert [point[:2] for point in sorted(read)] == [point[:2] for point in expected]
    assert [point[2] for point in sorted(read)] == pytest.approx([point[2] for point in expected], rel=1e-6)


@needs("wandb")
def test_weights_and_biases_keeps_a_run_offline(
    hero: Hero, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    result = hero("run", "--model", model, "--steps", 2, "--out", "run", "--log", "wandb", *FAST)
    assert result.exit_code == 0, result.output
    assert "wandb" not in result.output
    (file,) = (tmp_path / "run" / "log" / "wandb").glob("offline-run-*/*.wandb")
    content = file.read_bytes()
    for name in (b"rollout/success", b"eval/greedy/success/low", b"micro_batch_tokens"):
        assert name in content
    assert not os.path.exists(tmp_path / "wandb")
