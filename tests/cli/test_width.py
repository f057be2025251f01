"""Help and tables fit a terminal of 80 columns: no line is wider, nothing is cut off, and no interval is broken."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from hero.comparison.cells import Cell
from hero.comparison.runs import read_run
from hero.intervals import Estimate
from hero.runs.reader import read_rows, read_summary
from hero.suite.measures import Measures
from hero_cli.compare_tables import cost_table, teaching_tables
from hero_cli.main import app
from hero_cli.progress import LiveDisplay
from hero_cli.report import report
from hero_cli.settings import Settings
from hero_cli.suite import suite_table
from tests.cli.conftest import Hero

INTERVAL = r"\d(?: %)? \[[-+]?\d+\.\d, [-+]?\d+\.\d\]"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


PAGES = dict(commands(typer.main.get_command(app)))


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines()


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_no_help_page_is_wider_than_a_terminal_or_cuts_a_name_off(
    hero: Hero, monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = plain(hero(*path, "--help").stdout)
    assert max(map(cell_len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    for parameter in PAGES[path].params:
        for name in parameter.opts:
            if name.startswith("--"):
                assert any(re.match(rf"│ \*? *{name}[ ,]", line) for line in lines), name


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_no_brackets_of_a_help_text_are_taken_for_markup(path: tuple[str, ...]) -> None:
    for parameter in PAGES[path].params:
        written = getattr(parameter, "help", None) or ""
        assert Text.from_markup(written).plain == re.sub(r"\[/?dim\]", "", written).replace("\\[", "["), parameter.name


def test_the_paragraphs_of_a_help_page_are_filled(hero: Hero, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    page = "\n".join(line.rstrip() for line in plain(hero("run", "--help").stdout))
    (paragraph,) = [part.splitlines() for part in page.split("\n\n") if part.startswith(" Plays episodes")]
    assert len(paragraph) > 2
    for line, following in pairwise(paragraph):
        assert len(line) + 1 + len(following.split()[0]) >= 80, line


def screen() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=80, force_terminal=True, highlight=False, color_system=None), file


@pytest.mark.parametrize(("low", "is_whole"), [(-14.6, True), (-114.6, False)])
def test_the_report_of_a_run_breaks_a_label_rather_than_an_interval(finished: Path, low: float, is_whole: bool) -> None:
    console, file = screen()
    summary = dict(read_summary(finished))
    for mode in ("sampled", "greedy"):
        success, other = {"value": 0.75, "low": 0.301, "high": 0.954}, {"value": 87.5, "low": low, "high": 154.6}
        estimates = {"success": success, "score": other, "turns_per_episode": other}
        gain = estimates | {"success": {"value": 0.1, "low": -0.245, "high": 0.345}}
        summary[mode] = {"start": estimates, "end": estimates, "gain": gain}
    report(console, finished, summary, read_rows(finished, "steps"), read_rows(finished, "timings"), {})
    lines = plain(file.getvalue())
    table = lines[: next(index for index, line in enumerate(lines) if line.startswith("best "))]
    assert [count for line in table if (count := len(re.findall(INTERVAL, line)))] == [3] * 6
    labels = [line for line in table if re.match(r"\w+, (sampled|greedy) ", line)]
    assert (len(labels) == 6) == is_whole
    assert not [line for line in lines if "…" in line]


def test_the_display_of_a_run_breaks_no_interval_and_cuts_no_name_off(finished: Path) -> None:
    console, file = screen()
    display = LiveDisplay(console, Settings().plan(), 0, 0)
    update = {"loss": 0.1234, "mismatch": 1.23e-7, "teacher_gap": -0.123}
    step = {**read_rows(finished, "steps")[-1], "step": 12, "turns": 12345, "update": update}
    display.on_step_end(step)
    for row in read_rows(finished, "evals"):
        display.on_evaluate({**row, "turns": 12345, "tasks": 200})
    console.print(display.renderable())
    lines = plain(file.getvalue())
    assert not [line for line in lines if "…" in line]
    (header,) = [line.split() for line in lines if "diagnosed" in line]
    assert header[-3:] == ["loss", "mismatch", "teacher_gap"]
    rollout, reflection = step["rollout"] | {"errors": 3}, step["reflection"] | {"problems": 12}
    display.on_step_end(step | {"rollout": rollout, "reflection": reflection})
    console.print(display.renderable())
    assert "…" not in file.getvalue()
    rows = [line for line in lines if "12345  " in line and "[" in line]
    assert [len(re.findall(r"\d % \[\d+\.\d, \d+\.\d\]", row)) for row in rows] == [2, 1, 2]


def test_the_tables_of_a_comparison_fit(finished: Path) -> None:
    console, file = screen()
    run = read_run(finished)
    quality = {"verdicts_right": 1, "faults_found": 1, "advice_right": 1, "unnecessary_turns": 10.25}
    update = {"followed": 1, "lift": -10}
    whole = {"reflection": {"turns_with_finding": 1}, "quality": quality, "update": update}
    for table in teaching_tables([Cell("environment feedback", (replace(run, steps=[whole]),))]):
        console.print(table.rich(80))
    shown = file.getvalue()
    assert shown.count("100→100") == 5
    assert all(text in shown for text in ("-10.0→-10.0", "10.25→10.25"))
    assert "…" not in shown
    console, file = screen()
    console.print(cost_table([Cell(name, (run,)) for name in ("distill", "environment feedback")]).rich(80))
    lines = plain(file.getvalue())
    assert not [line for line in lines if "…" in line]
    assert lines[0].split() == ["runs", "turns", "policy", "reflector", "teacher", "training", "s", "evaluation", "s"]


def test_a_suite_s_table_keeps_its_intervals_whole() -> None:
    wide = Estimate(-1.345, -2.456, 10.0)
    measures = Measures(items=1000, tokens=1, nats=wide, exact=wide, well_formed=wide)
    console = Console(width=80, file=io.StringIO())
    columns = {name: {"hindsight": measures} for name in ("start", "checkpoint", "difference")}
    console.print(suite_table(columns, stacked=True))
    lines = plain(console.file.getvalue())  # type: ignore[attr-defined]
    assert max(map(cell_len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    assert "\n".join(lines).count("[") == "\n".join(lines).count("]") == 3 * 3
    assert all(line.count("[") == line.count("]") for line in lines)
