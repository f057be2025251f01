"""The counts of faults: on a catalogue made for them, and on the original's."""

from __future__ import annotations

from pathlib import Path

from benchmarks.webshop_faults import bounds, episodes, item_pages, leaks, options
from tests.envs.webshop.files import catalogue, write
from tests.envs.webshop.recorded import DATA, needs_recordings


def test_options_and_pages_are_counted(tmp_path: Path) -> None:
    # The values as they are: one that upstream cannot match, one that it takes for the other, one that JSON escapes.
    data = write(tmp_path, catalogue([("B000000001", "Find me", ["rosegold", "black and white", "white", '5"'])]))
    missed, _, confused = options(data)
    assert missed[1:] == ("1 of 4 (25.0 %)", "0 of 4 (0.0 %)")
    assert confused[1:] == ("1 of 4 (25.0 %)", "1 of 4 (25.0 %)")
    assert [row[1:] for row in item_pages(data)] == [
        ("1 of 4 (25.0 %)", "0 of 4 (0.0 %)"),
        ("0 of 4 (0.0 %)", "0 of 4 (0.0 %)"),
        ("0 of 4 (0.0 %)", "0 of 4 (0.0 %)"),
        ("0 of 4 (0.0 %)", "0 of 4 (0.0 %)"),
    ]


def test_values_that_cannot_be_clicked_are_counted(tmp_path: Path) -> None:
    data = write(tmp_path, catalogue([("B000000001", "Find me", ["10/", "Buy Now", "xl"])]))
    _, needs_blanks, _, named_alike = item_pages(data)
    assert needs_blanks[1:] == ("1 of 3 (33.3 %)", "0 of 3 (0.0 %)")
    assert named_alike[1:] == ("1 of 3 (33.3 %)", "1 of 3 (33.3 %)")


def test_empty_values_are_counted(tmp_path: Path) -> None:
    data = write(tmp_path, catalogue([("B000000001", "Find me", ["", "m", "xl"])]))
    assert next(iter(options(data)))[1:] == ("1 of 3 (33.3 %)", "0 of 3 (0.0 %)")
    assert list(item_pages(data))[2][1:] == ("1 of 3 (33.3 %)", "1 of 3 (33.3 %)")


def test_a_small_catalogue_without_goals_counts_0_of_0(tmp_path: Path) -> None:
    data = write(tmp_path, catalogue([("B000000001", "Find me", [])]))
    rows = [row for part in (leaks, options, item_pages, bounds) for row in part(data)]
    assert ("goals whose price bound differs from run to run", "0 of 0", "0 of 0") in rows


def test_bounds_of_runs_differ_unless_they_are_seeded(tmp_path: Path) -> None:
    data = write(tmp_path, catalogue([("B000000001", "Find me", ["s"])]))
    bound, price = bounds(data)
    assert price[1:] == ("9 of 9 (100.0 %)", "0 of 9 (0.0 %)")
    assert bound.mended == "0 of 9 (0.0 %)"


@needs_recordings
def test_counts_of_the_1000_product_set() -> None:
    counts = {row.fault: row[1:] for part in (leaks, item_pages, episodes) for row in part(DATA)}
    assert counts["test goals whose product is in train too"] == ("479 of 500 (95.8 %)", "0 of 246 (0.0 %)")
    assert counts["option clicks after which the page reads as before"][1] == "0 of 769 (0.0 %)"
    assert counts["values that text_rich does not mark once they are selected"][1] == "0 of 3499 (0.0 %)"
    assert counts["last pages that show the reward"] == ("500 of 500 (100.0 %)", "0 of 500 (0.0 %)")
    # But for the reward, no mending makes a difference to these shoppers.
    assert counts['score/success of "with options"'] == ("78.9/57.2", "79.3/60.0")
    assert counts["the same purchases, judged by the original's reward"] == ("78.9/57.2", "78.9/57.2")
