"""Counting what was changed with and without a yes."""

import random

from benchmarks.consent import counted
from benchmarks.tiny.clerk import Hasty, expert
from benchmarks.tiny.episodes import desk, play


def test_who_asks_changes_after_a_yes_and_who_does_not_without() -> None:
    rng = random.Random(0)
    for episode in play(desk(0), expert, 30, rng):
        assert counted(episode.turns).keys() <= {"after a yes"}
    hasty = [counted(episode.turns) for episode in play(desk(0), Hasty(rng, 1, 1, 1), 60, rng)]
    assert sum(counts["without"] for counts in hasty) > 10
    assert sum(counts["handed over"] for counts in hasty) > 10
    assert not any(counts["after a yes"] for counts in hasty)


def test_a_yes_is_to_the_last_question_alone() -> None:
    episode = next(e for e in play(desk(0), expert, 30, random.Random(0)) if counted(e.turns)["after a yes"])
    question = next(number for number, turn in enumerate(episode.turns) if "(yes/no)?" in turn.action.text)
    later = (*episode.turns[: question + 1], episode.turns[0], *episode.turns[question + 1 :])
    assert counted(later)["without"] == 1
