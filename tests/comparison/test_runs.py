"""What a comparison reads from run directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from hero.comparison.curve import Curve
from hero.comparison.runs import find_runs, read_run
from hero.errors import RunError
from hero.runs.reader import Episode, read_rows
from hero.runs.writer import Run
from hero.types import Action, Diagnosis, Stop, Tokens, Trajectory, Turn
from tests.loop import PLAN, training

SETTINGS = {"seed": 7, "learner": "distill"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Run.create(tmp_path / "run", SETTINGS) as run:
        assert training(run).run()
    return tmp_path / "run"


def test_a_run_has_its_curve_and_its_cost(path: Path) -> None:
    run, steps = read_run(path), read_rows(path, "steps")
    assert (run.path, run.settings, run.seed) == (path, SETTINGS, 7)
    assert len(run.evals) == 2 * 2 + 2  # start and end in both modes, two in between
    assert run.curve == Curve.of_rows(run.evals, steps, True)
    assert run.curve.turns == (0, *(row["turns"] for row in steps if row["step"] % PLAN.eval_every == 0))
    assert len(run.curve.success[0]) == PLAN.eval_tasks
    assert run.cost.turns == steps[-1]["turns"]
    timings = read_rows(path, "timings")
    assert run.cost.evaluation_seconds == pytest.approx(sum(row.get("evaluation", 0) for row in timings))
    assert run.cost.training_seconds + run.cost.evaluation_seconds == pytest.approx(
        sum(value for row in timings for name, value in row.items() if name != "step")
    )


@pytest.mark.parametrize("recorded", [{}, {"env_id": "shop/2"}, {"sha256": "1f", "arguments": {"data": "/here"}}])
def test_its_environment_is_known_by_its_data_and_its_arguments(tmp_path: Path, recorded: dict[str, object]) -> None:
    settings = {"seed": 0, "env": "shop", "env_args": {"level": "hard", "data": "here"}}
    with Run.create(tmp_path / "run", settings, {"env": recorded}):
        pass
    arguments = {"level": "hard"} | ({} if "arguments" in recorded else {"data": "here"})
    assert read_run(tmp_path / "run").environment == {"env_id": "shop", **recorded, "env_args": arguments}


def test_tokens_are_those_read_and_sampled_each_once(tmp_path: Path) -> None:
    def turn(prompt: tuple[int, ...], action: tuple[int, ...]) -> Turn:
        return Turn((), Action("", Tokens(prompt, action, (0.0,) * len(action))), "", 0.0)

    def episode(*turns: Turn) -> Trajectory:
        return Trajectory("guess", "0", 0, turns, Stop.TERMINATED)

    appended = episode(turn((1, 2, 3), (4, 5)), turn((1, 2, 3, 4, 5, 6), (7,)))
    rewritten = episode(turn((1, 2, 3), (4, 5)), turn((1, 2, 9), (7,)))
    silent = episode(Turn((), Action("x"), "", 0.0))
    with Run.create(tmp_path / "run", SETTINGS) as run:
        for step, played in enumerate((appended, rewritten, silent), 1):
            run.record("episodes", Episode(step, played, Diagnosis("self", tokens=step)).record())
            update = {"teacher_tokens": 7.0, "advice_tokens": 3.0} if step > 1 else {}
            run.record("steps", {"step": step, "turns": step, "reflection": {"tokens": step}, "update": update})
    cost = read_run(tmp_path / "run").cost
    assert (cost.policy_tokens, cost.reflector_tokens, cost.teacher_tokens) == (7 + 9, 6, 20)


def test_a_run_that_has_just_begun_can_be_read(tmp_path: Path) -> None:
    Run.create(tmp_path / "run", SETTINGS).__exit__(None, None, None)
    run = read_run(tmp_path / "run")
    assert run.curve == Curve((), (), 0, False)
    assert run.cost.turns == run.cost.policy_tokens == 0


def test_runs_are_found_where_they_are_or_directly_below(path: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "notes.txt").touch()
    Run.create(tmp_path / "another", SETTINGS).__exit__(None, None, None)
    assert find_runs([tmp_path]) == [tmp_path / "another", path]
    assert find_runs([path, tmp_path / "another"]) == [path, tmp_path / "another"]
    for nothing in ("logs", "notes.txt", "nowhere"):
        with pytest.raises(RunError, match=f"{nothing} neither is a run directory nor holds one"):
            find_runs([tmp_path / nothing])


def test_a_run_that_is_named_twice_is_there_once(path: Path, tmp_path: Path) -> None:
    assert find_runs([tmp_path, path, path / "..", path.parent / path.name]) == [path]


def test_records_that_were_changed_are_refused(path: Path) -> None:
    file = path / "evals.jsonl"
    file.write_text(file.read_text("utf-8").replace('"success":false', '"success":true', 1), "utf-8")
    with pytest.raises(RunError, match=r"evals\.jsonl is damaged"):
        read_run(path)
