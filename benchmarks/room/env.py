"""A locked room: find the key of the door, unlock it, and leave."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from hero.envs.base import StepResult, TextEnv
from hero.envs.validate import require_one_of

PLACES = ("drawer", "shelf", "box", "rug", "vase", "chest", "sofa", "basket")
COLOURS = ("red", "green", "blue", "white", "black", "brown")
FIRST_SEED = {"train": 0, "validation": 100_000, "warm": 200_000}
"""First seed of the rooms of a split; a task is the room of that seed plus its number."""


@dataclass(frozen=True)
class Room:
    """Places in the order in which they are seen, the place of each key, and the colour of the door."""

    places: tuple[str, ...]
    keys: dict[str, str]
    door: str

    @classmethod
    def of_seed(cls, seed: int) -> Room:
        rng = random.Random(seed)
        places = tuple(rng.sample(PLACES, 4))
        keys = dict(zip(rng.sample(COLOURS, 3), rng.sample(places, 3), strict=True))
        return cls(places, keys, rng.choice(list(keys)))

    def text(self) -> str:
        note = "; ".join(f"{colour} key in the {place}" for colour, place in self.keys.items())
        return f"You see: {', '.join(self.places)}. The door is {self.door}. A note says: {note}."


class LockedRoom(TextEnv):
    """Leave a locked room; the reward is 1 for leaving."""

    env_id = "locked-room"
    num_tasks = 1000

    def __init__(self, *, split: str = "train") -> None:
        super().__init__()
        require_one_of("split", split, FIRST_SEED)
        self.split = split

    def begin(self, task: int) -> tuple[str, dict[str, Any]]:
        self.room = Room.of_seed(FIRST_SEED[self.split] + task)
        self.held, self.open, self.searched = "", False, set[str]()
        return self.room.text(), {}

    def apply(self, action: str) -> StepResult:
        room = self.room
        match action.strip().split():
            case ["search", place] if place in room.places:
                self.searched.add(place)
                inside = [f"{colour} key" for colour, where in room.keys.items() if where == place]
                return StepResult(f"In the {place}: {inside[0] if inside else 'nothing'}.")
            case ["take", colour, "key"] if room.keys.get(colour) in self.searched:
                self.held = colour
                return StepResult(f"You hold the {colour} key.")
            case ["unlock", "door"] if self.held:
                self.open = self.open or self.held == room.door
                fits = "turns" if self.held == room.door else "does not fit"
                return StepResult(f"The {self.held} key {fits}.")
            case ["leave"] if self.open:
                return StepResult("You are out.", reward=1.0, terminated=True, success=True)
        return StepResult("Nothing happens.", action_valid=False, feedback="this does nothing here")


def read_room(text: str) -> Room:
    """Returns the room that an opening describes; the inverse of `Room.text`."""
    seen, door, note = re.fullmatch(r"You see: (.*)\. The door is (\w+)\. A note says: (.*)\.", text).groups()  # type: ignore[union-attr]
    keys = dict(re.findall(r"(\w+) key in the (\w+)", note))
    return Room(tuple(seen.split(", ")), keys, door)
