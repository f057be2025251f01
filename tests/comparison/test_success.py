"""All cells are read off at the same turns, on the same tasks, and paired by seed."""

from __future__ import annotations

import numpy as np
import pytest

from hero.comparison.cells import Cell
from hero.comparison.crossed import difference_interval, share_interval
from hero.comparison.success import Success, curve_tasks, default_budgets
from hero.errors import RunError
from tests.comparison.made import record

LOW, HALF, HIGH = ({"a": value, "b": value / 2} for value in (0.0, 0.5, 1.0))
RISING = Cell("rising", tuple(record([(0, LOW), (100, HIGH)], seed=seed) for seed in (0, 1)))
BASE = Cell("base", tuple(record([(0, HALF)], seed=seed) for seed in (0, 1)))


def test_every_run_is_read_off_at_the_budget() -> None:
    success = Success.at_budget([RISING, BASE], 0)
    assert success.values["rising"].tolist() == [[0, 0], [0, 0]]
    success = Success.at_budget([RISING, BASE], 50)
    assert success.tasks == ("a", "b")
    # The last step began at 0 turns, so that all later budgets are read off at the end.
    assert success.values["rising"].tolist() == [[1, 0.5], [1, 0.5]]
    assert success.values["base"].tolist() == [[0.5, 0.25], [0.5, 0.25]]
    assert success.of("rising") == share_interval(np.array([[1, 0.5], [1, 0.5]]))


def test_a_curve_is_read_off_between_its_evaluations() -> None:
    success = Success.at(RISING, 50, ["b", "c", "a"])
    assert success.tasks == ("b", "a")
    assert success.values["rising"].tolist() == [[0.25, 0.5]] * 2


def test_runs_that_have_not_got_there_are_left_out() -> None:
    running = Cell("running", (record([(0, LOW), (40, HIGH)], finished=False), RISING.runs[1]))
    success = Success.at_budget([running, RISING], 100)
    assert success.seeds == {"running": (1,), "rising": (0, 1)}
    assert success.values["running"].shape == (1, 2)
    nobody = Cell("nobody", (record([(0, LOW)], seed=7, finished=False),))
    success = Success.at_budget([nobody, RISING], 100)
    assert success.of("nobody") is None
    assert success.difference("rising", "nobody") is None
    assert success.difference("nobody", "rising") is None


def test_a_difference_pairs_seeds() -> None:
    values = {seed: {task: float((seed + index) % 3 == 0) for index, task in enumerate("abcdef")} for seed in range(4)}
    one = Cell("one", tuple(record([(0, values[seed])], seed=seed) for seed in (0, 1, 2)))
    other = Cell("other", tuple(record([(0, values[3 - seed])], seed=seed) for seed in (3, 2, 1)))
    got = Success.at_budget([one, other], 0).difference("one", "other")
    rows = [np.array([list(values[seed].values()) for seed in seeds]) for seeds in ((1, 2), (2, 1))]
    assert got == difference_interval(*rows)
    stranger = Cell("stranger", (record([(0, values[0])], seed=9),))
    assert Success.at_budget([one, stranger], 0).difference("one", "stranger") is None


def test_cells_are_compared_on_the_tasks_of_all() -> None:
    few = Cell("few", (record([(0, {"b": 1.0, "c": 0.0, "a": 0.5}), (10, {"b": 1.0})]),))
    success = Success.at_budget([few, BASE], 0)
    assert success.tasks == ("b", "a")
    assert success.values["few"].tolist() == [[1.0, 0.5]]
    assert Success.at_budget([few, BASE], 5).tasks == ("b",)
    assert curve_tasks([few, BASE]) == ["b"]


def test_runs_without_a_common_task_are_refused() -> None:
    other = Cell("other", (record([(0, {"z": 1.0})]),))
    for compare in (lambda: Success.at_budget([BASE, other], 0), lambda: curve_tasks([BASE, other])):
        with pytest.raises(RunError, match="no validation task in common"):
            compare()


def test_budgets_are_thirds_of_the_smallest_or_of_what_all_reached() -> None:
    budgeted = Cell("budgeted", (record(turn_budget=3000), record(seed=1, turn_budget=4000)))  # one has gone on
    assert default_budgets([budgeted, BASE, RISING]) == (1333, 2667, 4000)
    assert default_budgets([budgeted, Cell("as it was", (record(turn_budget=3000),))]) == (1000, 2000, 3000)
    longer = Cell("longer", (record([(0, LOW), (160, HIGH)]),))
    assert default_budgets([longer, BASE, RISING]) == (33, 67, 100)
    assert default_budgets([BASE]) == (0,)
    assert default_budgets([Cell("short", (record(turn_budget=1),))]) == (1,)
