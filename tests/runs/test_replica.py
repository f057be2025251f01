"""A replica answers like the run itself, and writes nothing."""

from __future__ import annotations

from pathlib import Path

from hero.runs.reader import KINDS, progress
from hero.runs.replica import Replica
from hero.runs.writer import Run
from tests.runs.steps import contents


def test_a_replica_answers_like_the_run(path: Path) -> None:
    with Run.resume(path) as run:
        replica = Replica(path)
        assert replica.checkpoint == run.checkpoint
        before = contents(path)
        replicated = [replica.rows(kind) for kind in KINDS]
        saves: list[int] = []
        for step in (4, 5):
            for kind in KINDS:
                replica.record(kind, {"step": step, "turns": 10 * step})
            replica.save_checkpoint(step, lambda folder: saves.append(len(saves)), best=4)
        replica.extend({"steps": 9})
        replica.write_summary({})
        assert contents(path) == before
        assert len(saves) == 2  # it takes part
        assert replicated == [run.rows(kind) for kind in KINDS]
        for kind in ("steps", "evals"):
            assert replica.rows(kind) == [*run.rows(kind), *({"step": n, "turns": 10 * n} for n in (4, 5))]
        assert progress(replica.rows("steps")) == (5, 50)
        assert replica.checkpoint is not None
        assert (replica.checkpoint.step, replica.checkpoint.best) == (5, 4)


def test_a_replica_of_a_new_run_is_empty(tmp_path: Path) -> None:
    replica = Replica(tmp_path / "run")
    assert (replica.checkpoint, replica.rows("steps"), replica.rows("evals")) == (None, [], [])
