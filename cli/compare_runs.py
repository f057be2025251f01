"""Run `hero run` in processes of their own, several at a time, and follow how far each has got."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from hero.errors import RunError
from hero.runs.reader import is_run_dir, read_rows

from .compare_plan import PlannedRun
from .interrupt import cleaning_up
from .same_start import can_share_start, start_alike

# Without -P a file in the working directory could take the place of a module.
HERO: Final = (sys.executable, "-P", "-c", "from hero_cli.main import main; main()")
"""The command `hero` of this interpreter."""
POLL_SECONDS: Final = 0.2
State = Literal["waiting", "running", "finished", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of a run.

    Attributes:
        turns: environment turns used after `step` steps.
        success: success in the newest sampled evaluation; None before the first.
        error: why it failed; "" unless it did.
    """

    state: State
    step: int = 0
    turns: int = 0
    success: float | None = None
    error: str = ""


Statuses = Mapping[PlannedRun, Status]


class Progress:
    """Reads how far a run has got from its directory, when something was added there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sizes: dict[str, int] = {}

    def update(self, status: Status) -> Status:
        """Returns the status with newer numbers."""
        # A run that is resumed cuts its records off while they are read.
        with suppress(RunError, OSError):
            if rows := self._rows_if_new("steps"):
                status = replace(status, step=rows[-1]["step"], turns=rows[-1]["turns"])
            rows = [row for row in self._rows_if_new("evals") if row["mode"] == "sampled"]
            if rows:
                status = replace(status, success=rows[-1]["success"]["value"])
        return status

    def _rows_if_new(self, kind: str) -> list[dict[str, Any]]:
        file = self._path / f"{kind}.jsonl"
        size = file.stat().st_size if file.exists() else 0
        if size == self._sizes.get(kind, 0):
            return []
        self._sizes[kind] = size
        return read_rows(self._path, kind)


class Child:
    """A process that runs or resumes one run, its output in a log file.

    It has a process group of its own where there are such, since Ctrl-C in a terminal would reach it as well, and the
    second one stops it at once.
    """

    def __init__(self, run: PlannedRun, log: Path, same_start_as: Path | None) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        self._start = log.stat().st_size if log.exists() else 0
        more = [f"--same-start-as={same_start_as}"] if same_start_as else []
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*HERO, "run", *run.arguments, *more],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def interrupt(self) -> None:
        """Asks it to stop after its step; where a terminal's Ctrl-C has reached it, that has done so already."""
        if os.name == "posix":
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Stops it at once; its run can be resumed."""
        self._process.terminate()
        self._process.wait()

    def state(self) -> State:
        """Returns what has become of it."""
        code = self._process.poll()
        if code is None:
            return "running"
        return "finished" if code == 0 else "stopped" if code in (130, -signal.SIGINT) else "failed"

    def error(self) -> str:
        """Returns the line of its output that says why it failed."""
        lines = [line.strip() for line in self._log.read_bytes()[self._start :].decode(errors="replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "no output")
        error = next((line for line in reversed(lines) if line.startswith("error: ")), last)
        return f"{error.removeprefix('error: ')} ({self._log}, exit code {self._process.returncode})"


def run_all(
    runs: Sequence[PlannedRun],
    logs: Path,
    jobs: int,
    show: Callable[[Statuses], None],
    asked_to_stop: Callable[[], bool],
) -> dict[PlannedRun, Status]:
    """Brings all runs to their end in the order given, as far as they get.

    Args:
        logs: directory for the output of each run.
        jobs: number of processes at a time.
        show: is called again and again with the status of each run.
        asked_to_stop: once it returns True, no run begins, and those that go on stop after their step.

    Returns:
        The status of each run, none of them `running`.
    """
    progress = {run: Progress(run.path) for run in runs}
    statuses = {run: progress[run].update(Status("waiting" if run.arguments else "finished")) for run in runs}
    waiting = [run for run in runs if run.arguments]
    stopping = False
    with _children() as children:
        while children or (waiting and not stopping):
            if asked_to_stop() and not stopping:
                stopping = True
                for child in children.values():
                    child.interrupt()
            while waiting and len(children) < jobs and not stopping:
                run = waiting.pop(0)
                children[run] = Child(run, logs / f"{run.path.name}.log", _evaluated_alike(run, runs))
            for run, child in list(children.items()):
                state = child.state()
                statuses[run] = progress[run].update(replace(statuses[run], state=state))
                if state != "running":
                    error = child.error() if state == "failed" else ""
                    statuses[run] = replace(statuses[run], error=error)
                    del children[run]
            show(statuses)
            time.sleep(POLL_SECONDS)
    return statuses


def _evaluated_alike(run: PlannedRun, runs: Sequence[PlannedRun]) -> Path | None:
    """Returns the directory of a run whose evaluation before training is also that of one that starts; None if none."""
    if is_run_dir(run.path):
        return None
    alike = (other.path for other in reversed(runs) if start_alike(other.settings, run.settings))
    # Of the newest the least has changed since.
    return next((path for path in alike if can_share_start(path, run.settings)), None)


@contextmanager
def _children() -> Iterator[dict[PlannedRun, Child]]:
    """Kills whatever processes are left in the dictionary when the block ends, also where the session does."""
    children: dict[PlannedRun, Child] = {}
    with cleaning_up():
        try:
            yield children
        finally:
            for child in children.values():
                child.kill()
