"""The command answers at once."""

from __future__ import annotations

import resource
import subprocess
import sys

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
