"""The command answers at once, because it loads nothing heavy before it has to."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hero import __version__
from hero.runs.reader import read_rows
from hero_cli.safe_console import SafeConsole
from hero_cli.terminal import loading
from tests.cli.conftest import FAST, Hero

HELP = """
import sys
from hero_cli.main import app
app({arguments}, standalone_mode=False)
heavy = {{"torch", "transformers", "gymnasium", "numpy", "scipy", "matplotlib", "filelock"}} & sys.modules.keys()
assert not heavy, heavy
"""


def ask(*arguments: str) -> str:
    """Returns the output of the command for arguments that need nothing heavy."""
    code = HELP.format(arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_loads_nothing_heavy() -> None:
    assert "hindsight" in ask("--help")
    for command in ("run", "eval", "play"):
        assert "--env" in ask(command, "--help")
    assert "--from" in ask("data", "webshop", "--help")


def test_the_version_is_that_of_the_package() -> None:
    assert ask("--version") == f"{__version__}\n"


NOISY = """
import logging, sys, warnings
from hero_cli import app, main

def noisy():
    import transformers
    warnings.warn("deprecated", FutureWarning)
    logging.getLogger("library").warning("deprecated")
    transformers.utils.logging.get_logger("transformers.models").warning("deprecated")
    list(transformers.utils.logging.tqdm([1], desc="Loading weights"))
    logging.getLogger("hero").warning("waiting")

app.app = noisy
main.main()
"""


def test_warnings_of_other_libraries_stay_off_the_screen_unless_they_are_asked_for() -> None:
    quiet = subprocess.run([sys.executable, "-c", NOISY], check=True, capture_output=True, text=True)
    assert quiet.stderr == "waiting\n"
    asked = subprocess.run([sys.executable, "-W", "default", "-c", NOISY], check=True, capture_output=True, text=True)
    assert "FutureWarning: deprecated" in asked.stderr


SPY = """
import os, sys

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name in {heavy}:
            print("IMPORT", name, file=sys.stderr, flush=True)
            os._exit(9)  # what follows is not asked here, and takes long

sys.meta_path.insert(0, Spy())
"""


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["run", "--out", "run"], "webshop"),
        (["run", "--model", "tiny", "--out", "run"], "tiny"),
        (["run", "--resume", "--out", "{run}"], "{run}"),
        (["check"], "webshop"),
        (["eval", "{run}"], "{run}"),
        (["eval", "tiny", "--suite", "{run}/suite.txt"], "tiny"),
        (["play", "--env", "taubench"], "taubench"),
        (["play", "--policy", "tiny"], "tiny"),
        (["export", "tiny", "out"], "tiny"),
        (["warm", "--env", "webshop", "--script", "json:loads", "--out", "base"], "webshop"),
        (["compare", "--learners", "base"], "webshop"),
        (["compare", "{run}"], "{run}"),
    ],
)
def test_the_screen_says_what_is_loaded_before_anything_heavy_is_imported(
    finished: Path, started: Callable[..., subprocess.Popen[str]], arguments: list[str], what: str
) -> None:
    (finished / "suite.txt").write_text("text", "utf-8")
    spy = SPY.format(heavy={"torch", "transformers", "gymnasium", "numpy", "scipy"})
    process = started(*(argument.format(run=finished) for argument in arguments), before=spy)
    output, errors = process.communicate(timeout=100)
    (finished / "suite.txt").unlink()
    first, heavy, *rest = errors.splitlines()
    assert (first, output, rest) == (f"loading {what.format(run=finished)} ...", "", [])
    assert re.match("IMPORT (torch|gymnasium|numpy|scipy)$", heavy)


def test_the_time_of_the_start_is_part_of_the_time_that_the_run_reports(hero: Hero, model: str, tmp_path: Path) -> None:
    result = hero("run", "--model", model, "--steps", 1, "--out", "run", *FAST)
    assert hero("run", "--resume", "--out", "run", "--steps", 2).exit_code == 0
    rows = read_rows(tmp_path / "run", "timings")
    starts = [(row["step"], row["start_up"]) for row in rows if "start_up" in row]
    assert [step for step, _ in starts] == [0, 2]
    assert min(seconds for _, seconds in starts) > 0
    spent = sum(seconds for row in rows[:2] for name, seconds in row.items() if name != "step")
    assert f"\n{spent:.0f} s in all\n" in result.stdout
    assert re.search(rf"^start-up +{starts[0][1]:.1f} +\d+ % *$", result.stdout, re.MULTILINE)


def test_in_a_terminal_the_line_goes_away_before_anything_else_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def terminal(**options: bool) -> SafeConsole:
        return SafeConsole(file=screen, force_terminal=True, color_system=None, **options)

    monkeypatch.setattr("hero_cli.safe_console.SafeConsole", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with loading("tiny") as loaded:
        assert screen.getvalue() == "loading tiny ..."
        assert loaded() >= 0
        screen.write("ready")
    assert screen.getvalue() == "loading tiny ...\r\x1b[2Kready"
