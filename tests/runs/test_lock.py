"""A run directory belongs to one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hero.errors import RunError
from hero.runs.writer import Run
from tests.runs.steps import IN_PLACE, SETTINGS


@pytest.mark.parametrize("what", ["a pipe", "a device", "a link to itself", "a directory"])
def test_whatever_lies_in_place_of_the_lock_is_refused(path: Path, what: str) -> None:
    (path / ".lock").unlink()
    IN_PLACE[what](path / ".lock")
    with pytest.raises(RunError, match=r"\.lock"):
        Run.resume(path)


RESUME = """
import sys
from pathlib import Path
from hero.runs.writer import Run
run = Run.resume(Path(sys.argv[1]))
print("resumed", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_kept_out_until_the_first_lets_go(path: Path) -> None:
    def resume() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", RESUME, path], input="", capture_output=True, text=True)

    with Run.resume(path):
        assert f"another process is writing {path}; wait until it ends" in resume().stderr
        with pytest.raises(RunError, match="another process is writing"):
            Run.resume(path)
    assert resume().returncode == 0


def test_the_lock_of_a_process_that_is_killed_is_gone(path: Path) -> None:
    command = [sys.executable, "-c", RESUME, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "resumed\n"
        with pytest.raises(RunError, match="another process is writing"):
            Run.resume(path)
        process.kill()
    with Run.resume(path) as run:
        assert run.settings == SETTINGS
