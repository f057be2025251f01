"""Shares of the diagnoses of a run that agree with the rules and with the hidden state."""

from pathlib import Path

from benchmarks.reviews import SHARES, compare
from hero.runs.reader import read_episodes, read_rows
from tests.doubles import GuessEnv


def test_shares_by_label_are_those_that_the_run_recorded(finished: Path) -> None:
    episodes = list(read_episodes(finished))
    for row in read_rows(finished, "steps"):
        shown = compare([episode for episode in episodes if episode.step == row["step"]], GuessEnv().is_right)
        for name, title in SHARES.items():
            recorded = row["quality"].get(name)
            assert shown[title] == ("" if recorded is None else f"{100 * recorded:.0f} %")
        assert (shown["useful, called so"], shown["wrong, called so"]) == ("100 %", "100 %")  # the run's are the rules'


def test_an_environment_without_labels_leaves_its_columns_empty(finished: Path) -> None:
    shown = compare(list(read_episodes(finished)), lambda *asked: None)
    assert {shown[title] for title in SHARES.values()} == {""}
