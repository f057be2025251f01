"""The command where its output cannot be written, and Ctrl-C before it has begun."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import FAST, without_loading
from tests.platforms import FULL, NEEDS_FULL

Started = Callable[..., "subprocess.Popen[str]"]


def run_of(model: str) -> list[object]:
    return ["run", "--model", model, "--steps", 1, "--out", "run", *FAST]


@NEEDS_FULL
@pytest.mark.parametrize("before", ["", "import sys; sys.stdout.isatty = lambda: True"], ids=["log", "display"])
def test_a_full_disk_loses_the_output_and_nothing_else(
    started: Started, model: str, tmp_path: Path, before: str
) -> None:
    if before:  # a terminal that fails
        before = "from hero_cli import output; output.Expendable.isatty = lambda stream: True"
    with FULL.open("w", encoding="utf-8") as full:
        process = started(*run_of(model), stdout=full, before=before)
        _, errors = process.communicate(timeout=100)
    assert errors.endswith("error: cannot write standard output: No space left on device\n")
    assert len(errors.splitlines()) == 2  # the first says what is loaded
    assert process.returncode == 2
    assert {"summary.json", "curve.png"} <= {file.name for file in (tmp_path / "run").iterdir()}


@NEEDS_FULL
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["eval", "tiny", "--tasks", 1, "--env", "guess"]])
def test_every_command_reports_that_its_output_is_lost(started: Started, command: list[object]) -> None:
    with FULL.open("w", encoding="utf-8") as full:
        process = started(*command, stdout=full)
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors.splitlines()[-1]) == (
        2,
        "error: cannot write standard output: No space left on device",
    )


def test_a_reader_who_leaves_ends_no_run(started: Started, model: str, tmp_path: Path) -> None:
    process = started(*run_of(model))
    assert process.stdout
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    with process.stderr as errors:
        assert (without_loading(errors.read()), process.wait(timeout=100)) == ("", 141)
    assert (tmp_path / "run" / "summary.json").exists()


def test_without_standard_output_a_run_is_silent(started: Started, model: str, tmp_path: Path) -> None:
    process = started(*run_of(model), before="import os, sys; os.close(1); sys.stdout = None")
    _, errors = process.communicate(timeout=100)
    assert (process.returncode, without_loading(errors)) == (0, "")
    assert (tmp_path / "run" / "summary.json").exists()


@NEEDS_FULL
def test_an_error_keeps_its_exit_code(started: Started) -> None:
    process = started("run", "--env", "gues", before="import os; os.close(1); os.open('/dev/full', os.O_WRONLY)")
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 2
    assert "did you mean 'guess'?" in errors


FINDER = """
import signal, sys
class Pressing:
    def find_spec(self, name, path=None, target=None):
        if name == "{name}":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Pressing())
"""


@pytest.mark.parametrize(
    "name", ["typer", "hero_cli.app", "rich", "hero_cli.run", "gymnasium", "torch", "transformers"]
)
def test_ctrl_c_while_something_is_imported_ends_quietly(
    started: Started, model: str, tmp_path: Path, name: str
) -> None:
    for command in (run_of(model), ["eval", model, "--env", "guess", "--tasks", 1]):
        process = started(*command, before=FINDER.format(name=name))
        output, errors = process.communicate(timeout=100)
        assert process.returncode == 130
        assert (output, re.sub(r"^loading .* \.\.\.\n", "", errors)) in (("", ""), ("", "interrupted\n"))
    assert not (tmp_path / "run").exists()


def test_the_module_of_the_entry_point_loads_nothing_heavy() -> None:
    code = """
import signal, sys
handler, before = signal.getsignal(signal.SIGINT), set(sys.modules)
import hero_cli.main
assert signal.getsignal(signal.SIGINT) is handler
print(*set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "hero_cli.main" in loaded
    assert {"typer", "rich", "hero", "json"}.isdisjoint(loaded)
