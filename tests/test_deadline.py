"""A block that runs too long is interrupted, and nothing else is."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import Any

import pytest

from hero.deadline import time_limit
from hero.envs.base import StepResult, TextEnv
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Stop

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers that send signals")


def forever() -> None:
    while True:
        pass


def test_a_block_that_never_returns_is_interrupted_and_leaves_the_process_as_it_was() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"^the wait took longer than 0\.02 s$"), time_limit(0.02, "the wait"):
        forever()
    with time_limit(0.02, "nothing"):
        pass
    time.sleep(0.03)  # a timer that had been left running would kill the process
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_outer_limit_holds_within_an_inner_one() -> None:
    with pytest.raises(TimeoutError, match="outer"), time_limit(0.02, "outer"), time_limit(60, "inner"):
        time.sleep(5)


def test_other_threads_and_no_limit_run_on() -> None:
    ran: list[str] = []

    def run() -> None:
        with time_limit(0.01, "the thread"):
            time.sleep(0.03)
            ran.append("thread")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    with time_limit(math.inf, "nothing"):
        ran.append("no limit")
    assert ran == ["thread", "no limit"]


class Stuck(TextEnv):
    """Never answers a NUL byte, as a game that was seen to do."""

    env_id = "stuck"
    num_tasks = 2
    step_timeout = 0.05

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        while task:
            pass
        return "Say something.", {}

    def apply(self, action: str) -> StepResult:
        while action == "\0":
            pass
        return StepResult("Go on.")


def test_a_step_or_a_reset_that_never_returns_ends_its_episode() -> None:
    words = iter(["a", "\0", "b", "c"])
    tasks = [Task(0, 0), Task(1, 0), Task(0, 0)]
    episodes = rollout([Stuck()], FunctionPolicy(lambda _: next(words)), tasks, max_turns=2)
    assert [episode.stop for episode in episodes] == [Stop.ERROR, Stop.ERROR, Stop.MAX_TURNS]
    assert [episode.error for episode in episodes] == [
        "TimeoutError: step took longer than 0.05 s",
        "TimeoutError: reset took longer than 0.05 s",
        "",
    ]
    assert [len(episode.turns) for episode in episodes] == [1, 0, 2]
