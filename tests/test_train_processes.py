"""Processes that share a run make the run of one, however many they are; here each is a thread."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import pytest

from hero.processes import Processes
from hero.runs.reader import progress
from hero.runs.replica import Replica
from hero.runs.writer import Run
from tests.doubles import GuessTrainer
from tests.loop import contents, training

T = TypeVar("T")


@dataclass(frozen=True)
class Thread(Processes):
    """A thread in the place of a process.

    Attributes:
        parts: what each thread has brought, by rank.
        barrier: where they wait for one another.
    """

    parts: list[list[Any]] = field(default_factory=list)
    barrier: Barrier = field(default_factory=lambda: Barrier(1))

    def gather(self, items: Iterable[T]) -> list[T]:
        self.parts[self.rank] = list(items)
        self.barrier.wait(60)
        gathered = [*chain.from_iterable(self.parts)]
        self.barrier.wait(60)
        return gathered


class Follower(GuessTrainer):
    """Leaves the saving to another process."""

    def save(self, path: Path) -> None:
        pass


@pytest.mark.parametrize("size", range(1, 7))  # a step has 4 groups, an evaluation 5 tasks
def test_a_run_is_the_same_among_any_number_of_processes(size: int, finished: Path, tmp_path: Path) -> None:
    parts, barrier = [list[Any]()] * size, Barrier(size)

    def process(rank: int) -> bool:
        processes = Thread(rank, size, parts, barrier)
        if processes.is_first:
            with Run.create(tmp_path / "run", {"seed": 7}) as run:
                processes.wait()
                return training(run, processes=processes).run()
        processes.wait()
        replica: Any = Replica(tmp_path / "run")
        return training(replica, trainer=Follower(), processes=processes).run()

    with ThreadPoolExecutor(size) as threads:
        assert all(threads.map(process, range(size)))
    assert contents(tmp_path / "run") == contents(finished)


def test_all_processes_stop_when_one_is_asked_to(tmp_path: Path) -> None:
    parts, barrier = [list[Any]()] * 2, Barrier(2)

    def process(rank: int) -> bool:
        processes = Thread(rank, 2, parts, barrier)
        asked = iter(range(9))
        if processes.is_first:
            with Run.create(tmp_path / "run", {"seed": 7}) as run:
                processes.wait()
                done = training(run, processes=processes).run()
                assert progress(run.rows("steps"))[0] == 2
                return done
        processes.wait()
        replica: Any = Replica(tmp_path / "run")
        return training(replica, trainer=Follower(), processes=processes).run(lambda: next(asked) == 2)

    with ThreadPoolExecutor(2) as threads:
        assert not any(threads.map(process, range(2)))
