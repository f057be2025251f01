"""The locked room keeps the contract, and its text says all that its rules use."""

import random

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.room.base import MAX_TURNS, play
from benchmarks.room.env import LockedRoom, Room, read_room
from benchmarks.room.script import Notes, Player, review
from hero.envs.contract import check_text_env
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Verdict


def test_it_keeps_the_contract() -> None:
    check_text_env(LockedRoom)


@given(st.integers(0, 10**6))
def test_the_opening_tells_the_whole_room(seed: int) -> None:
    room = Room.of_seed(seed)
    assert read_room(room.text()) == room


def test_the_advice_of_reviews_leads_out_from_wherever_mistakes_have_led() -> None:
    for episode in play(Player(random.Random(0), 0.3, 0.4), 60, random.Random(1)):
        for finding in review(episode).findings:
            turn = episode.turns[finding.turn]
            assert (finding.verdict is Verdict.USEFUL) == (turn.action.text == Notes(turn.prompt).good())
        mistakes = [turn.action.text for turn in episode.turns[:4]]
        rest = iter(mistakes)
        policy = FunctionPolicy(lambda messages, rest=rest: next(rest, "") or Notes(messages).good())
        task = Task(int(episode.task_id.rpartition("-")[2]), episode.seed)
        (again,) = rollout([LockedRoom(split="warm")], policy, [task], max_turns=len(mistakes) + 4)
        assert again.success


def test_the_careless_mostly_end_at_a_door_that_their_key_does_not_fit() -> None:
    episodes = play(Player(random.Random(0), 1.0), 200, random.Random(1))
    assert 0.15 < sum(episode.success for episode in episodes) / 200 < 0.45
    stuck = [episode for episode in episodes if not episode.success]
    assert all(len(episode.turns) == MAX_TURNS and "does not fit" in episode.turns[-1].observation for episode in stuck)
