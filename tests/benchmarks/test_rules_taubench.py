"""Counts of `python -m benchmarks.rules_taubench`."""

from __future__ import annotations

import pytest

from benchmarks.rules_taubench import CLERKS, measure


@pytest.mark.parametrize("clerk", CLERKS)
def test_the_rules_are_right_about_scripted_clerks(clerk: str) -> None:
    counts = measure(clerk, 400).counts
    assert counts["turns"] > 1500
    assert (counts["bad"] > 0) == (clerk != "careful")
    assert counts["bad, faulted"] >= 0.75 * counts["bad"]
    assert counts["bad, faulted"] >= 0.95 * counts["faulted"]
    # What is changed before a yes is advised to be proposed, though a clerk who wanders names wrong ids.
    assert counts["advised, right"] >= (0.6 if clerk == "goes round in circles" else 0.9) * counts["advised"]
    assert counts["praised, good"] >= 0.8 * counts["praised"] > 0
