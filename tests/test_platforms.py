"""Common paths use nothing that macOS or Windows lacks; the tests take it away, since none runs there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source import modules

WITHOUT = {
    "macOS": "del os.sched_getaffinity",
    "Windows": """
del os.sched_getaffinity, os.fork, os.getuid, os.mkfifo, signal.SIGKILL, signal.SIGHUP
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp"):
    sys.modules[name] = None
""",
}
"""Code that removes whatever a system lacks."""
RUN = """
import importlib, os, signal, sys
import filelock, gymnasium, httpx, platformdirs, typer.rich_utils  # these have ways of their own
from transformers import LlamaForCausalLM  # and so has psutil, which comes with it
filelock.FileLock, platformdirs.user_cache_dir("x")
from pathlib import Path
{without}
for name in {modules}:
    importlib.import_module(name)
from hero_cli.resolve import settings_of
from hero.runs.writer import Run
assert settings_of({{}}).threads >= 1
with Run.create(Path({path!r}), settings_of({{}}).record()) as run:
    run.record("steps", {{"step": 1}})
    run.save_checkpoint(1, lambda trainer: trainer.mkdir(), best=1)
with Run.resume(Path({path!r})) as run:
    assert run.rows("steps") == [{{"step": 1}}]
import hero.envs
env = hero.envs.make("webshop", split="train", level="easy")
env.reset(seed=0)
"""


def test_tests_ask_in_one_place_for_what_not_every_system_has() -> None:
    lacking = re.compile(r"os\.mkfifo\(|\.symlink_to\(|SIGKILL")
    tests = Path(__file__).parent
    asking = {file.name for file in tests.rglob("*.py") if lacking.search(file.read_text("utf-8"))}
    assert asking == {"platforms.py", "test_platforms.py"}


@pytest.mark.parametrize("system", WITHOUT)
def test_every_module_loads_and_a_run_is_written_without(system: str, tmp_path: Path) -> None:
    code = RUN.format(without=WITHOUT[system], modules=sorted(modules()), path=str(tmp_path / "run"))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
