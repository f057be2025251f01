"""The examples run as they stand, with the results that they promise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from examples import (
    hero_by_hand,
    loss_in_your_trainer,
    reflector_on_your_logs,
    training_from_python,
    webshop_in_your_loop,
)
from hero.types import Verdict
from hero_cli.main import app
from tests.source import ROOT


def test_the_whole_method_runs_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    before, after = hero_by_hand.main(steps=2, episodes=4, eval_tasks=3, max_turns=4)
    assert len(before.outcomes) == len(after.outcomes) == 3
    printed = re.findall(r"step \d: \d/4 successes, (\d+) examples, loss (\d\.\d+)", capsys.readouterr().out)
    assert len(printed) == 2
    assert all(int(examples) > 0 and float(loss) > 0 for examples, loss in printed)


def test_the_loss_alone_makes_the_student_like_the_teacher() -> None:
    losses = loss_in_your_trainer.main()
    assert losses[-1] < losses[0] / 10


def test_a_reflector_alone_judges_the_log_of_another_agent() -> None:
    diagnosis = reflector_on_your_logs.main()
    assert [(finding.turn, finding.verdict) for finding in diagnosis.findings] == [
        (0, Verdict.USEFUL),
        (1, Verdict.INVALID),
        (2, Verdict.UNNECESSARY),
        (3, Verdict.FAILED),
    ]
    assert diagnosis.findings[1].cause == "the tool answered: FileNotFoundError: /app/config.toml"
    assert diagnosis.findings[3].advice == "read /app/src/server.py"


def test_a_run_from_python_is_read_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_from_python.main(tmp_path / "run", steps=1, episodes=2, eval_tasks=2)
    assert re.search(r"step 1: \d+ % of the episodes.*\nvalidation: \d+ to \d+ %", capsys.readouterr().out)
    result = CliRunner().invoke(app, ["eval", str(tmp_path / "run"), "--tasks", "2"])
    assert result.exit_code == 0, result.output


LOADED = """
import sys
from {module} import main
main(*{arguments})
heavy = {{"torch", "transformers", "gymnasium", "numpy", "scipy"}}
print(sorted({{name.split(".")[0] for name in sys.modules}} & heavy))
print(sorted({{".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("hero.")}}))
"""


@pytest.mark.parametrize(
    ("module", "arguments", "heavy", "blocks"),
    [
        ("examples.reflector_on_your_logs", (), [], "chat errors policy reflect registry traces types"),
        ("examples.loss_in_your_trainer", (), ["numpy", "torch"], "distill"),
        (
            "examples.webshop_in_your_loop",
            (1,),
            ["gymnasium", "numpy"],
            "chat deadline envs errors fingerprint registry types",
        ),
    ],
)
def test_a_part_comes_without_the_rest(module: str, arguments: tuple[int, ...], heavy: list[str], blocks: str) -> None:
    code = LOADED.format(module=module, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, libraries, parts = done.stdout.splitlines()
    assert set(ast.literal_eval(libraries)) <= set(heavy)
    assert set(ast.literal_eval(parts)) <= {f"hero.{block}" for block in blocks.split()}


def test_the_environment_alone_is_played_in_a_plain_loop() -> None:
    assert webshop_in_your_loop.main(episodes=10) > 0.2
