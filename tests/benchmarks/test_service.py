"""Counts of the customers that a run serves, and of its changes with and without a yes."""

import random
from dataclasses import replace

import pytest

from benchmarks.service import counted
from benchmarks.tiny.clerk import Hasty, expert
from benchmarks.tiny.episodes import desk, play
from benchmarks.tiny.service_case import WISHES
from hero.errors import DataError

EXPERT = play(desk(0), expert, 60, random.Random(0))


def test_who_asks_changes_after_a_yes_and_who_does_not_without() -> None:
    for episode in EXPERT:
        assert not counted(episode)["without"]
        assert not counted(episode)["handed over"]
    hasty = [counted(episode) for episode in play(desk(0), Hasty(random.Random(0), 1, 0.5, 1), 60, random.Random(0))]
    assert sum(counts["without"] for counts in hasty) > 10
    assert sum(counts["handed over"] for counts in hasty) > 10
    assert not any(counts["after a yes"] for counts in hasty)


def test_a_yes_is_to_the_last_question_alone() -> None:
    episode = next(episode for episode in EXPERT if counted(episode)["after a yes"])
    question = next(index for index, turn in enumerate(episode.turns) if "(yes/no)?" in turn.action.text)
    later = (*episode.turns[: question + 1], episode.turns[0], *episode.turns[question + 1 :])
    assert counted(replace(episode, turns=later))["without"] == 1


def test_every_wish_is_counted_and_served_or_not() -> None:
    for wish in WISHES:
        counts = [counted(episode) for episode in EXPERT if counted(episode)[wish]]
        assert counts
        assert all(count[f"{wish} served"] == 1 for count in counts)
    failed = replace(EXPERT[0], turns=EXPERT[0].turns[:1])
    assert not any(count for name, count in counted(failed).items() if name.endswith("served"))


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="is not the embedded TauBench"):
        counted(replace(EXPERT[0], env_id="taubench/retail/v1/scripted"))
