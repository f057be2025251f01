"""The recipe of a weak policy for the locked room: it knows the game, follows advice, and plays carelessly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from benchmarks.room.env import LockedRoom
from benchmarks.room.script import Player, review
from hero.chat.base import Chat
from hero.distill.teacher import HindsightTeacher
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Trajectory
from hero.warm.recipe import Phase, Recipe
from hero.warm.rows import Row, episode_row, teacher_rows

MAX_TURNS = 10
CARELESS = 0.97


def play(player: Player, episodes: int, rng: random.Random) -> list[Trajectory]:
    """Plays episodes in rooms that no training and no evaluation uses."""
    env = LockedRoom(split="warm")
    tasks = [Task(rng.randrange(env.num_tasks), seed) for seed in range(episodes)]
    return rollout([env], FunctionPolicy(player), tasks, max_turns=MAX_TURNS)


def texts(rng: random.Random) -> Iterator[str]:
    """Yields the texts that the tokenizer is trained on."""
    for trajectory in play(Player(rng, 0.5, 0.2), 300, rng):
        yield from (message.content for message in trajectory.turns[0].prompt)
        diagnosis = review(trajectory)
        for index, turn in enumerate(trajectory.turns):
            yield from (turn.action.text, turn.observation)
            if context := HindsightTeacher().context(trajectory, index, diagnosis):
                yield context[-1].content


def rows(chat: Chat, index: int, rng: random.Random, players: tuple[Player, ...], imitate: bool) -> Iterator[Row]:
    """Yields rows of episodes and of answers to hindsight on them."""
    for player in players:
        for trajectory in play(Player(rng, player.careless, player.astray), 60, rng):
            diagnosis = review(trajectory)
            yield episode_row(chat, trajectory, diagnosis, imitate)
            yield from teacher_rows(chat, trajectory, diagnosis, rng, share=0.3)


_any = random.Random()
SKILL = (Player(_any, 0.3, 0.2), Player(_any, CARELESS))
HABIT = (Player(_any, CARELESS),)
RECIPE = Recipe(
    texts,
    pattern=r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+",
    vocabulary=500,
    digits=1,
    phases=(
        Phase("skill", partial(rows, players=SKILL, imitate=False), 500, 4096, 2e-3),
        Phase("habit", partial(rows, players=HABIT, imitate=True), 100, 4096, 4e-4),
    ),
)
