"""Players of these games for `hero warm`: one that plays well and one that is careless for each."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from hero.types import Message

MOVES = {"down": (1, 0), "right": (0, 1), "up": (-1, 0), "left": (0, -1)}


def newest(messages: Sequence[Message], pattern: str) -> str:
    """Returns the newest observation that a pattern is found in."""
    pages = (message.content for message in reversed(messages) if message.role == "user")
    return next(page for page in pages if re.search(pattern, page))


def cross_lake(messages: Sequence[Message]) -> str:
    """Takes a shortest way over the ice of textarena's FrozenLake, around the holes."""
    rows = [line[1:-1].split("|") for line in newest(messages, r"\|").splitlines() if line.startswith("|")]
    cells = {(row, column): cell.strip() for row, line in enumerate(rows) for column, cell in enumerate(line)}
    start = next(place for place, cell in cells.items() if "P" in cell)
    queue, first = deque([start]), {start: ""}
    while queue:
        place = queue.popleft()
        if cells[place] == "G":
            return f"[{first[place]}]"
        for name, (down, right) in MOVES.items():
            step = place[0] + down, place[1] + right
            if step not in first and cells.get(step, "H") != "H":
                first[step] = first[place] or name
                queue.append(step)
    return "[down]"


def cross_lake_blindly(messages: Sequence[Message]) -> str:
    """Goes down, and at the shore to the right, whatever is there."""
    rows = [line for line in newest(messages, r"\|").splitlines() if line.startswith("|")]
    return "[right]" if "P" in rows[-1] else "[down]"


def move_tower(messages: Sequence[Message]) -> str:
    """Takes the next move of the shortest solution of GEM's Tower of Hanoi."""
    moves = [message.content for message in messages if message.role == "assistant"]
    towers = {"A": [3, 2, 1], "B": list[int](), "C": list[int]()}
    for move in moves:
        source, target = re.findall("[ABC]", move)[-2:] if len(re.findall("[ABC]", move)) > 1 else ("A", "A")
        if towers[source] and (not towers[target] or towers[target][-1] > towers[source][-1]):
            towers[target].append(towers[source].pop())
    where = {disk: name for name, disks in towers.items() for disk in disks}
    goal, chosen = "C", ("A", "C")
    for disk in (3, 2, 1):
        if where[disk] != goal:
            chosen = where[disk], goal
            goal = ({"A", "B", "C"} - {where[disk], goal}).pop()
    return rf"\boxed{{{chosen[0]} {chosen[1]}}}"


def move_smallest(messages: Sequence[Message]) -> str:
    """Moves the same disk to and fro."""
    moves = sum(message.role == "assistant" for message in messages)
    return rf"\boxed{{{'A C' if moves % 2 == 0 else 'C A'}}}"


def add(messages: Sequence[Message]) -> str:
    """Adds and subtracts the numbers of reasoning-gym's chain_sum."""
    numbers = re.findall(r"[-+]?\d+", newest(messages, r"\d").rpartition(":")[2].replace(" ", ""))
    return str(sum(map(int, numbers)))


def add_the_first(messages: Sequence[Message]) -> str:
    """Reads only the first number."""
    return re.findall(r"-?\d+", newest(messages, r"\d").rpartition(":")[2])[0]
