"""Scripted players of the locked room, and the rules that review their episodes, all from the text alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.room.env import Room, read_room
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict


class Notes:
    """Reads a conversation: the room, and what has been done in it."""

    def __init__(self, messages: Sequence[Message]) -> None:
        texts = [message.content for message in messages if message.role != "system"]
        self.room: Room = read_room(texts[0])
        self.moves = list(zip(texts[1::2], texts[2::2], strict=False))
        held = [action.split()[1] for action, answer in self.moves if answer.startswith("You hold")]
        self.held = held[-1] if held else ""
        self.searched = [action.split()[1] for action, answer in self.moves if answer.startswith("In the")]
        self.open = any(answer.endswith("key turns.") for _, answer in self.moves)

    def good(self) -> str:
        """Returns the right action."""
        room = self.room
        if self.open:
            return "leave"
        if self.held == room.door:
            return "unlock door"
        place = room.keys[room.door]
        return f"take {room.door} key" if place in self.searched else f"search {place}"

    def careless(self) -> str:
        """Returns what somebody does who reads neither the note nor the colours."""
        if self.open:
            return "leave"
        if self.held:
            return "unlock door"
        colours = {place: colour for colour, place in self.room.keys.items()}
        if self.searched and self.searched[-1] in colours:
            return f"take {colours[self.searched[-1]]} key"
        return next(f"search {place}" for place in self.room.places if place not in self.searched)


@dataclass(frozen=True)
class Player:
    """Acts carelessly at a given rate, at random at another, and rightly otherwise."""

    rng: random.Random
    careless: float
    astray: float = 0.0

    def __call__(self, messages: Sequence[Message]) -> str:
        notes, chance = Notes(messages), self.rng.random()
        if chance < self.astray:
            room = notes.room
            actions = [f"search {place}" for place in room.places] + [f"take {colour} key" for colour in room.keys]
            return self.rng.choice([*actions, "unlock door", "leave"])
        return notes.careless() if chance < self.astray + self.careless else notes.good()


def review(trajectory: Trajectory) -> Diagnosis:
    """Returns the findings of a reader who knows the game, with advice where an action was wrong."""
    findings = []
    for index, turn in enumerate(trajectory.turns):
        good, action = Notes(turn.prompt).good(), turn.action.text
        if action == good:
            findings.append(Finding(index, Verdict.USEFUL))
        else:
            verdict = Verdict.UNNECESSARY if turn.info.get("action_valid") else Verdict.INVALID
            findings.append(Finding(index, verdict, "not what helps", good))
    return Diagnosis("review", tuple(findings))


class Reviewer:
    """The reflector of the locked room."""

    name = "review"

    def reflect(self, trajectories: Sequence[Trajectory]) -> list[Diagnosis]:
        """Returns the review of each episode."""
        return [review(trajectory) for trajectory in trajectories]
