"""The command answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hero import __version__

HELP = """
import sys
from hero_cli.main import app
app({arguments}, standalone_mode=False)
heavy = {{"torch", "transformers", "gymnasium", "numpy", "scipy", "matplotlib"}} & sys.modules.keys()
assert not heavy, heavy
"""


def ask(*arguments: str) -> str:
    """What the command says to arguments that need nothing heavy."""
    code = HELP.format(arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_answers_in_half_a_second_and_loads_nothing_heavy() -> None:
    resource = pytest.importorskip("resource", reason="processor time of other processes is not known on Windows")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "hindsight" in ask("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, since wall-clock time on a busy machine says little.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
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
