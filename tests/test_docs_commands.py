"""The commands that the documents show are ones that the program has, and the walk to an environment works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from hero_cli.app import app
from tests.source import ROOT
from tests.test_docs import DOCUMENTS, blocks

CURRENT = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]  # which also names what is gone
STARTS = (["hero"], [".venv/bin/hero"], ["-m", "hero_cli"])


def block_lines(text: str) -> Iterator[str]:
    """Yields each command line of the blocks."""
    for block in re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()


def mentions(text: str) -> list[str]:
    """Returns whatever stands between single backticks outside of blocks, each in one line."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(each.split("\n")) for each in re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", outside)]


def arguments(line: str) -> Iterator[list[str]]:
    """Yields the arguments of each call of `hero` in a line."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # not a command, such as a piece of code
        return
    calls: list[list[str]] = [[]]
    for word in words:
        if word in ("&&", "&", "|", ";"):
            calls.append([])
        else:
            calls[-1].append(word)
    for call in calls:
        while call and re.fullmatch(r"[A-Z_]+=.*", call[0]):  # variables before a command
            call = call[1:]
        for start in STARTS:
            places = range(len(call)) if start[0] == "-m" else range(min(len(call), 1))
            yield from (call[at + len(start) :] for at in places if call[at : at + len(start)] == start)


def harmless(command: Any) -> Any:
    """Returns a command that parses its arguments and does nothing."""
    command.callback = lambda **_: None
    if inner := getattr(command, "get_command", None):
        command.get_command = lambda context, name: harmless(found) if (found := inner(context, name)) else None
    return command


@pytest.fixture(scope="module")
def program() -> Any:
    return harmless(typer.main.get_command(app))


def accepts(program: Any, rest: list[str]) -> bool:
    """Returns whether `hero` would begin to do what the arguments say."""
    with pytest.raises(SystemExit) as ended:
        program(rest, prog_name="hero")
    return ended.value.code in (0, None)


def options_of(program: Any, rest: list[str]) -> set[str]:
    """Returns the options of the command that the arguments begin with."""
    for word in rest:
        if not hasattr(program, "get_command") or word.isupper():  # a placeholder
            break
        program = program.get_command(None, word)
        assert program, f"{word!r} is not a command"
    return {name for parameter in program.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_are_shown_are_ones_that_the_program_takes(path: Path, program: Any) -> None:
    for line in block_lines(path.read_text("utf-8")):
        for rest in arguments(line):
            assert accepts(program, rest), line


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_that_the_text_names_with_a_command_exist(path: Path, program: Any) -> None:
    for mention in mentions(path.read_text("utf-8")):
        for rest in arguments(mention):
            named = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert named <= options_of(program, rest) | {"--help"}, mention


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_components_are_given_a_value(path: Path) -> None:
    text = path.read_text("utf-8")
    for line in [*block_lines(text), *mentions(text)]:
        for rest in arguments(line):
            for word, value in pairwise(rest):
                assert not re.fullmatch(r"--\w+-arg", word) or "=" in value, line


@pytest.mark.parametrize(
    "line", ["hero run --no-such-option 3", "hero walk", "hero env checks lamps", "hero run --steps many"]
)
def test_a_command_that_the_program_does_not_have_is_noticed(line: str, program: Any) -> None:
    (rest,) = arguments(line)
    assert not accepts(program, rest)


def test_calls_are_found_wherever_they_stand_in_a_line() -> None:
    line = "A=1 hero run --steps 2 && cd x && torchrun --nproc-per-node 2 -m hero_cli run --shard  # hero walk"
    assert list(arguments(line)) == [["run", "--steps", "2"], ["run", "--shard"]]
    assert list(arguments("see hero run")) == []


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: str(path.relative_to(ROOT)))
def test_benchmarks_and_targets_that_are_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    for name in set(re.findall(r"python -m (benchmarks(?:\.\w+)*)", text)):
        assert find_spec(name), f"{path.name} names {name}"
    for name, rest in re.findall(r"python -m (benchmarks(?:\.\w+)*)([^`#\n]*)", text):
        place = find_spec(name)
        if place and place.submodule_search_locations:
            place = find_spec(f"{name}.__main__")
        assert place
        assert place.origin
        source = Path(place.origin).read_text("utf-8")
        for option in re.findall(r"--([a-z-]+)", rest):
            declared = rf'"--{option}"|\b{option.replace("-", "_")}: Annotated'
            assert re.search(declared, source), f"{path.name} gives {name} --{option}"
    targets = set(re.findall(r"^([\w-]+):", ROOT.joinpath("Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)", text)) <= targets


@pytest.mark.slow
def test_the_walk_from_nothing_to_a_curve_works_word_for_word(tmp_path: Path) -> None:
    """Runs the commands of docs/add-an-env.md as they stand, in an environment of Python's that sees this one's."""
    walk = blocks(ROOT / "docs" / "add-an-env.md", "bash")[0]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"
    (site,) = tmp_path.glob("venv/lib/python*/site-packages")
    site.joinpath("parent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    binaries.joinpath("hero").write_text(f'#!/bin/sh\nexec {binaries / "python"} -m hero_cli "$@"\n')
    binaries.joinpath("hero").chmod(0o755)
    searched = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", walk], cwd=tmp_path, env={**os.environ, "PATH": searched}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "lamps/runs/lamps-distill-seed0/summary.json").read_text("utf-8"))
    assert summary["sampled"]["end"]["success"]["low"] > summary["sampled"]["start"]["success"]["high"]
