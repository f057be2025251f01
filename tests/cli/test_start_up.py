"""The command answers at once, because it loads nothing heavy before it has to."""

from __future__ import annotations

import subprocess
import sys

from hero import __version__

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
