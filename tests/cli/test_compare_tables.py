"""Tables, notes and pictures of a comparison."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from hero.comparison.cells import Cell
from hero.comparison.runs import Cost, RunRecord
from hero.comparison.success import Success
from hero.errors import ConfigError, RunError
from hero.look.metrics import METRICS
from hero_cli.compare_notes import notes
from hero_cli.compare_plots import draw_budgets, draw_cost, draw_curves
from hero_cli.compare_report import report
from hero_cli.compare_tables import cost_table, difference_table, mean_cost, success_table, teaching_tables
from hero_cli.curve import fit_percent
from hero_cli.teaching import MEASURES
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
    begun = replace(record(seed=2, finished=False), cost=Cost(1, 0, 0, 0, 0, 0))
    assert cost_table([Cell("rising", (*RISING.runs, begun))]).rows[0] == ("rising", "2 of 3", *table.rows[1][2:])
    assert cost_table([Cell("begun", (begun,))]).rows[0][:3] == ("begun", "1", "1")
    assert len(table.header) == len(table.rows[1])


def test_how_it_was_taught_is_the_mean_over_the_runs_of_their_first_and_last_steps() -> None:
    def step(**update: float) -> dict[str, object]:
        return {"quality": {"unnecessary_turns": 0.25}, "update": update}

    runs = (
        [step(followed=0.9, lift=-1.0), step(followed=0.5), step(loss=0.0)],
        [step(followed=0.8, lift=2.0) | {"quality": {"faults_found": 0.5, "unnecessary_turns": 0.25}}, step(lift=4.0)],
        [step(loss=0.0)],
        [],
    )
    taught = Cell("taught", tuple(record(seed=seed, steps=rows) for seed, rows in enumerate(runs)))
    reviews, teaching = teaching_tables([BASE, taught])
    assert reviews.header[1:] == ("diagnosed", "verdicts", "found", "advice")
    assert reviews.rows == (("base | start", "–", "–", "–", "–"), ("taught", "–", "–", "50→–", "–"))
    assert teaching.header[1:] == ("followed", "lift", "unnecessary")
    assert teaching.rows == (("base | start", "–", "–", "–"), ("taught", "85→–", "0.5→4.0", "0.25→0.25"))
    assert teaching_tables([BASE]) == []


def test_what_is_told_of_the_teaching_is_explained_among_the_metrics() -> None:
    assert {measure.path for measure in MEASURES} <= {metric.path for metric in METRICS}


def test_a_table_is_the_same_in_markdown_and_in_80_columns() -> None:
    table = success_table(CELLS, AT)
    lines = table.markdown().splitlines()
    assert lines[2:4] == ["|  | 0 | 1,000 |", "| --- | ---: | ---: |"]
    assert lines[4] == "| base \\| start | 50.0 [21.5, 78.5] | 50.0 [18.8, 81.2] |"
    out = Console(file=io.StringIO(), width=80)
    out.print(table.rich(80))
    assert isinstance(out.file, io.StringIO)
    assert [line.split() for line in out.file.getvalue().splitlines()] == [
        ["0", "1,000"],
        *(" ".join(row).split() for row in table.rows),
    ]


@pytest.mark.parametrize(("budgets", "in_one_line"), [(3, True), (4, False), (6, False), (7, False)])
def test_names_and_numbers_stay_whole_in_80_columns(budgets: int, in_one_line: bool) -> None:
    cells = [Cell(name, RISING.runs) for name in ("distill fast", "grpo")]
    at = {10 * number: Success.at_budget(cells, 10 * number) for number in range(1, budgets + 1)}
    table = success_table(cells, at)
    out = Console(file=io.StringIO(), width=80)
    out.print(table.rich(80))
    assert isinstance(out.file, io.StringIO)
    lines = out.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    starts = [index for index, line in enumerate(lines) if line.startswith(("distill fast ", "grpo "))]
    assert len(starts) == 2
    assert (len(lines) == 3) == in_one_line
    numbers = sorted(" ".join(lines[starts[0] : starts[1]]).removeprefix("distill fast").split())
    assert numbers == sorted(" ".join(table.rows[0][1:]).split())


def test_notes_say_what_the_numbers_do_not() -> None:
    assert notes(CELLS, AT, "base | start") == [
        "Validation tasks: 8 at 0 turns, 6 at 1,000 turns",
        "base | start: distill clip=1",
        "rising: distill",
        "Over before 1,000 turns, so that the last evaluation counts from there on: base | start after 0, rising after "
        "100",
        "One seed, so that the interval covers other tasks, but not other seeds: base | start",
        "Seeds that a cell shares with base | start at 0 and 1,000 turns, for the difference: rising 1",
    ]
    distill = Cell("distill", RISING.runs)
    at = {turns: Success.at_budget([distill], turns) for turns in (50, 100)}
    assert notes([distill], at, "distill") == [
        "Validation tasks: 6",
        "A last step counts as a whole, though it goes over 50 turns, by at most: distill 50",
    ]
    told = notes([BASE, RUNNING], {1000: Success.at_budget([BASE, RUNNING], 1000)}, "running")
    assert "Runs that have got to 1,000 turns: running 0 of 2" in told
    assert "No run is finished, so that its cost is that so far: running" in told


def test_a_run_that_was_over_early_among_others_is_named_by_its_seed() -> None:
    ends, cells = {"late": (300, 300), "mixed": (100, 300), "early": (80, 100)}, []
    for name, turns in ends.items():
        runs = [record([(0, NOTHING), (end, ALL)], seed=seed) for seed, end in enumerate(turns)]
        cells.append(Cell(name, tuple(runs)))
    told = notes(cells, {300: Success.at_budget(cells, 300)}, "late")
    assert [text for text in told if text.startswith("Over before")] == [
        "Over before 300 turns, so that the last evaluation counts from there on: seed 0 of mixed after 100, early "
        "after 80 to 100"
    ]


def test_notes_count_the_seeds_behind_a_number_and_not_the_runs_of_its_cell() -> None:
    def cell(name: str, seeds: range, reached: int) -> Cell:
        """Makes runs of which the first so many got to 300 turns, and the others go on at 100."""
        return Cell(name, tuple(
            record([(0, NOTHING), (300 if index < reached else 100, ALL)], seed=seed, finished=index < reached)
            for index, seed in enumerate(seeds)))  # fmt: skip

    cells = [cell("first", range(3), 3), cell("other", range(2, 5), 3), cell("slow", range(3), 1)]
    at = {turns: Success.at_budget(cells, turns) for turns in (100, 300)}
    told = notes(cells, at, "first")
    assert "One seed, so that the interval covers other tasks, but not other seeds: slow at 300" in told
    assert [text for text in told if text.startswith("Seeds")] == [
        "Seeds that a cell shares with first at 100 turns, for the difference: other 1",
        "Seeds that a cell shares with first at 300 turns, for the difference: other 1, slow 1",
    ]


@pytest.mark.parametrize("limit", ["steps", "turn_budget"])
def test_a_cell_that_is_being_made_longer_is_named(limit: str) -> None:
    runs = [record([(0, NOTHING), (3, ALL)], seed=seed) for seed in range(3)]
    runs = [replace(run, settings={**run.settings, limit: most}) for run, most in zip(runs, (3, 3, 9), strict=True)]
    for count in (2, 3):
        cells = [Cell("a", tuple(runs[:count]))]
        told = notes(cells, {3: Success.at_budget(cells, 3)}, "a")
        note = "Only some runs have gone on to larger limits, so that costs differ by it: a"
        assert (note in told) == (count == 3)


def test_cells_that_were_not_evaluated_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    begun = Cell("begun", (record([], finished=False),))
    report([begun, *CELLS], [100], "", None)
    printed = " ".join(capsys.readouterr().out.split())
    assert "difference to base | start in points" in printed
    assert "Left out, since no run has been evaluated yet: begun" in printed
    with pytest.raises(ConfigError, match="--against 'begun': no run of that cell has been evaluated yet; give anot"):
        report([begun, *CELLS], [100], "begun", None)


@pytest.mark.parametrize("name", ["caf\udce9", "a\nb", "a\\|b", "_own"])
def test_a_report_has_cells_of_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []

    def save(figure: Figure, *args: Any, **options: Any) -> None:
        figures.append(figure)
        draw(figure, *args, **options)

    draw = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", save)
    report([BASE, Cell(name, RISING.runs)], [100], name, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} >= {"curves.png", "budgets.png", "cost.png"}
    text = (tmp_path / "comparison.md").read_text("utf-8")
    assert "a\nb" not in text
    for table in re.findall(r"^\|.*?\n\n", text, re.DOTALL | re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in table.strip().splitlines()}) == 1
    for axes in (figures[0].axes[0], figures[1].axes[-1]):
        legend = axes.get_legend()
        assert legend
        shown = [label.get_text().strip() for label in legend.get_texts()]
        assert shown == ["base | start", name.replace("\udce9", "?")]


BEGUN = Cell("begun", (record([(0, HALF)], finished=False),))


@pytest.mark.parametrize(
    "cells", [CELLS, [BASE], [BASE, RUNNING], [BEGUN], [Cell(str(n), RISING.runs) for n in range(12)]]
)
def test_pictures_are_drawn_of_any_cells(tmp_path: Path, cells: list[Cell]) -> None:
    at = {budget: Success.at_budget(cells, budget) for budget in (0, 1000)}
    draw_curves(tmp_path / "curves.png", cells)
    draw_budgets(tmp_path / "budgets.png", cells, at, cells[0].name)
    draw_cost(tmp_path / "cost.png", cells)
    for name in ("curves", "budgets", "cost"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_show_the_numbers_of_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: figures.append(figure))
    draw_curves(tmp_path / "curves.png", CELLS)
    draw_budgets(tmp_path / "budgets.png", CELLS, AT, "base | start")
    draw_cost(tmp_path / "cost.png", CELLS)
    curves, budgets, cost = (figure.axes for figure in figures)

    lines = {line.get_label(): line.get_xydata() for line in curves[0].get_lines()}
    assert list(lines) == ["base | start", "rising"]
    assert lines["base | start"].tolist() == [[0, 50], [100, 50]]
    assert lines["rising"] == pytest.approx(np.array([(turns, turns) for turns in np.linspace(0, 100, 49)]))
    draw_curves(tmp_path / "bent.png", [Cell("bent", (record([(0, NOTHING), (7, ALL), (100, NOTHING)]),))])
    assert figures.pop().axes[0].get_lines()[0].get_ydata().max() == 100  # no evaluation is cut off
    low, high = (extreme(curves[0].collections[1].get_paths()[0].vertices[:, 1]) for extreme in (min, max))
    assert (low, high) == (0, 100) == curves[0].get_ylim()

    labels = budgets[0].get_legend_handles_labels()[1]
    points = [container.lines[0].get_xydata() for container in budgets[0].containers]
    assert labels == ["base | start", "rising"]
    assert [heights.tolist() for heights in (each[:, 1] for each in points)] == [[50, 50], [0, 100]]
    assert all(points[0][:, 0] < points[1][:, 0])  # side by side, in the order of the table
    bars = budgets[0].containers[1].lines[2][0].get_segments()
    assert [(round(bottom[1], 1), round(top[1], 1)) for bottom, top in bars] == [(0, 32.4), (61, 100)]
    (differences,) = budgets[1].containers
    assert differences.lines[0].get_xydata().tolist() == [[points[1][0, 0], -50], [points[1][1, 0], 50]]
    shown = [f"{middle:+.1f} [{bottom[1]:+.1f}, {top[1]:+.1f}]" for middle, (bottom, top) in zip(
        differences.lines[0].get_ydata(), differences.lines[2][0].get_segments(), strict=True)]  # fmt: skip
    assert shown == list(difference_table(CELLS, AT, "base | start").rows[0][1:])

    assert [tick.get_text() for tick in cost[0].get_yticklabels()] == ["base | start", "rising"]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for axes in cost for bars in axes.containers}
    means = [mean_cost(cell) for cell in CELLS]
    expected = {
        "policy": [each.policy_tokens / 1000 for each in means],
        "reflector": [each.reflector_tokens / 1000 for each in means],
        "teacher": [each.teacher_tokens / 1000 for each in means],
        "training": [each.training_seconds for each in means],
        "evaluation": [each.evaluation_seconds for each in means],
    }
    assert widths.keys() == expected.keys()
    assert all(widths[name] == pytest.approx(expected[name]) for name in expected)
    assert cost[1].containers[1][1].get_x() == means[1].training_seconds  # stacked


@pytest.mark.parametrize(
    ("runs", "label", "end"),
    [
        ([(100, True), (80, True)], "cell", 80),
        ([(100, True), (0, False), (60, False)], "cell (1 of 3 runs)", 100),
        ([(0, False), (60, False), (90, False)], "cell (2 of 3 runs)", 60),
        ([(0, False)], None, 0),
    ],
)
def test_a_run_that_goes_on_shortens_no_curve_of_finished_ones(
    runs: list[tuple[int, bool]], label: str | None, end: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: figures.append(figure))
    records = [
        record([(0, NOTHING), (last, ALL)][: 2 if last else 1], seed=seed, finished=finished)
        for seed, (last, finished) in enumerate(runs)
    ]
    draw_curves(tmp_path / "curves.png", [BASE, Cell("cell", tuple(records))])
    lines = {line.get_label(): line.get_xdata() for line in figures[0].axes[0].get_lines()}
    assert list(lines) == ["base | start", *([label] if label else [])]
    assert not label or lines[label][-1] == end


@pytest.mark.parametrize(("values", "limits"), [([0, 100], (0, 100)), ([4, 16], (3.4, 16.6)), ([0, 16], (0, 16.8))])
def test_axes_fit_the_data_within_percent(values: list[float], limits: tuple[float, float]) -> None:
    axes = Figure().subplots()
    axes.plot(values)
    fit_percent(axes)
    assert axes.get_ylim() == pytest.approx(limits)


def test_equal_ids_of_other_tasks_are_not_paired(tmp_path: Path) -> None:
    shop = {"env_id": "shop", "tasks": {"level": "easy"}, "arguments": {"data": "/here"}}
    moved = shop | {"arguments": {"data": "/there"}}
    hard = shop | {"tasks": {"level": "hard"}}
    cells = [
        Cell(str(path), (record([(0, HALF), (9, ALL)], path=path, environment=world),))
        for path, world in (("one", shop), ("two", moved), ("three", hard))
    ]
    report(cells[:2], [9], "", tmp_path / "out")
    with pytest.raises(
        RunError, match=r"^three has other validation tasks than one: tasks\.level was 'easy', and is 'hard'"
    ):
        report(cells, [9], "", tmp_path / "out")


def test_runs_of_a_model_that_was_made_anew_are_not_put_together(tmp_path: Path) -> None:
    def run(path: str, model: str, weights: str) -> RunRecord:
        return record([(0, HALF), (9, ALL)], path=path, seed=sum(map(ord, path)), model=model, weights=weights)

    report([Cell("a", (run("x", "base", "1"),)), Cell("b", (run("y", "other", "2"),))], [9], "", None)
    report([Cell("a", (run("x", "base", ""), run("y", "base", "1"), run("z", "base", "")))], [9], "", None)
    with pytest.raises(RunError, match=r"^new started with other weights than old, though --model is the same"):
        report([Cell("a", (run("old", "base", "1"), run("new", "base", "2")))], [9], "", None)
