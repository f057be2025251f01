"""Processes of a comparison, of programs that stand for `hero run`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

from hero_cli.compare_plan import PlannedRun
from hero_cli.compare_runs import Progress, Status, Statuses, run_all
from hero_cli.settings import Settings
from tests.platforms import NEEDS_POSIX


def planned(path: Path, count: int = 1) -> list[PlannedRun]:
    return [PlannedRun("cell", seed, path / f"cell-seed{seed}", ("x",), Settings()) for seed in range(count)]


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr("hero_cli.compare_runs.HERO", (sys.executable, "-c", code))


def test_no_more_than_the_jobs_run_at_a_time_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "pass")
    seen: list[list[str]] = []
    runs = planned(tmp_path, 4)
    statuses = run_all(runs, tmp_path, 2, lambda all_: seen.append([all_[run].state for run in runs]), lambda: False)
    assert {status.state for status in statuses.values()} == {"finished"}
    for states in seen:
        assert states.count("running") <= 2
        assert [state == "waiting" for state in states] == sorted(state == "waiting" for state in states)
    assert seen[0][2:] == ["waiting", "waiting"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            "print('step 1'); print('error: no more of it'); print('warning: x'); exit(2)",
            "no more of it (LOG, exit code 2)",
        ),
        ("print('Traceback'); print('KeyError: 3'); print(' '); exit(1)", "KeyError: 3 (LOG, exit code 1)"),
        ("exit(7)", "no output (LOG, exit code 7)"),
    ],
)
def test_a_failure_has_the_line_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: str
) -> None:
    log = tmp_path / "cell-seed0.log"
    log.write_text("error: that of last time\n", "utf-8")
    stand_in(monkeypatch, code)
    (status,) = run_all(planned(tmp_path), tmp_path, 1, lambda statuses: None, lambda: False).values()
    assert (status.state, status.error) == ("failed", error.replace("LOG", str(log)))
    assert log.read_text("utf-8").startswith("error: that of last time\n")


def test_once_asked_to_stop_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "raise SystemExit(5)")
    statuses = run_all(planned(tmp_path, 2), tmp_path, 1, lambda statuses: None, lambda: True)
    assert [status.state for status in statuses.values()] == ["waiting", "waiting"]


def refuse(number: int, frame: FrameType | None) -> NoReturn:
    raise AssertionError(f"nothing handles signal {number}")


@NEEDS_POSIX
@pytest.mark.parametrize(
    ("name", "before", "error"),
    [
        ("SIGINT", signal.default_int_handler, KeyboardInterrupt),
        ("SIGTERM", refuse, SystemExit),
        ("SIGHUP", refuse, SystemExit),
        ("SIGHUP", signal.SIG_IGN, StopIteration),  # by nohup
    ],
)
def test_whatever_ends_it_leaves_no_process_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, before: Any, error: type[BaseException]
) -> None:
    file, number = tmp_path / "pid", getattr(signal, name)
    stand_in(
        monkeypatch,
        f"import os, pathlib, signal; new = pathlib.Path({str(tmp_path / 'new')!r}); new.write_text(str(os.getpid())); "
        f"new.rename({str(file)!r}); signal.pause()",
    )

    def show(statuses: Statuses) -> None:
        if file.exists():
            signal.raise_signal(number)
            raise StopIteration

    old = signal.signal(number, before)
    try:
        with pytest.raises(error):
            run_all(planned(tmp_path), tmp_path, 1, show, lambda: False)
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, old)
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_progress_is_read_from_the_records_of_a_run(tmp_path: Path) -> None:
    status = Status("running")
    progress = Progress(tmp_path)
    assert progress.update(status) == status
    (tmp_path / "steps.jsonl").write_text('{"step":1,"turns":30}\n{"step":2,"turns":60}\n{"step":3,"tu', "utf-8")
    assert progress.update(status) == Status("running", 2, 60)
    (tmp_path / "evals.jsonl").write_text(
        '{"mode":"sampled","success":{"value":0.5}}\n{"mode":"greedy","success":{"value":0.9}}\n', "utf-8"
    )
    status = progress.update(Status("running", 2, 60))
    assert status == Status("running", 2, 60, 0.5)
    (tmp_path / "steps.jsonl").write_text("nothing that can be read\n", "utf-8")
    assert progress.update(status) == status
