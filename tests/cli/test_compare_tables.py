"""Tables, notes and pictures of a comparison."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hero.comparison.cells import Cell
from hero.comparison.success import Success
from hero_cli.compare_plots import draw_budgets, draw_cost, draw_curves
from hero_cli.compare_tables import cost_table, difference_table, notes, success_table
from tests.comparison.made import record

NOTHING, HALF = (dict.fromkeys("abcdefgh", value) for value in (0.0, 0.5))
ALL = dict.fromkeys("abcdef", 1.0)
RISING = Cell("rising", tuple(record([(0, NOTHING), (100, ALL)], seed=seed) for seed in range(2)))
BASE = Cell("base | start", (record([(0, HALF)], clip=1),))
RUNNING = Cell("running", (record([(0, NOTHING)], finished=False), record(seed=1, finished=False)))
CELLS = [BASE, RISING]
AT = {budget: Success.at_budget(CELLS, budget) for budget in (0, 1000)}


def test_success_and_differences_are_in_percent_with_their_intervals() -> None:
    assert success_table(CELLS, AT).rows == (
        ("base | start", "50.0 [21.5, 78.5]", "50.0 [18.8, 81.2]"),
        ("rising", "0.0 [0.0, 32.4]", "100.0 [61.0, 100.0]"),
    )
    ((name, start, end),) = difference_table(CELLS, AT, "base | start").rows
    assert (name, start[:6], end[:6]) == ("rising", "-50.0 ", "+50.0 ")
    assert success_table([BASE, RUNNING], {1000: Success.at_budget([BASE, RUNNING], 1000)}).rows[1] == ("running", "–")


def test_cost_is_the_mean_of_a_run() -> None:
    table = cost_table(CELLS)
    assert table.rows[1] == ("rising", "2", "100", "2", "0", "4", "50", "25")
    assert len(table.header) == len(table.rows[1])


def test_a_table_is_the_same_in_markdown_and_in_80_columns() -> None:
    table = success_table(CELLS, AT)
    lines = table.markdown().splitlines()
    assert lines[2:4] == ["|  | 0 | 1,000 |", "| --- | ---: | ---: |"]
    assert lines[4] == "| base \\| start | 50.0 [21.5, 78.5] | 50.0 [18.8, 81.2] |"
    out = Console(file=io.StringIO(), width=80)
    out.print(table.rich())
    assert isinstance(out.file, io.StringIO)
    assert [line.split() for line in out.file.getvalue().splitlines()] == [
        ["0", "1,000"],
        *(" ".join(row).split() for row in table.rows),
    ]


def test_notes_say_what_the_numbers_do_not() -> None:
    assert notes(CELLS, AT) == [
        "Validation tasks: 8 at 0 turns, 6 at 1,000 turns",
        "base | start: distill clip=1",
        "rising: distill",
        "Over before 1,000 turns, so that the last evaluation counts from there on: base | start after 0, rising after "
        "100",
        "One seed, so that the interval covers other tasks, but not other seeds: base | start",
    ]
    distill = Cell("distill", RISING.runs)
    assert notes([distill], {50: Success.at_budget([distill], 50)}) == ["Validation tasks: 6"]
    assert "Runs that have got to 1,000 turns: running 0 of 2" in notes(
        [BASE, RUNNING], {1000: Success.at_budget([BASE, RUNNING], 1000)}
    )


@pytest.mark.parametrize("cells", [CELLS, [BASE], [BASE, RUNNING], [Cell(str(n), RISING.runs) for n in range(12)]])
def test_pictures_are_drawn_of_any_cells(tmp_path: Path, cells: list[Cell]) -> None:
    at = {budget: Success.at_budget(cells, budget) for budget in (0, 1000)}
    draw_curves(tmp_path / "curves.png", cells)
    draw_budgets(tmp_path / "budgets.png", cells, at)
    draw_cost(tmp_path / "cost.png", cells)
    for name in ("curves", "budgets", "cost"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
