"""Writes a suite of held-out text for a tiny policy: `python -m benchmarks.tiny.suite --env webshop --out FILE`.

`hero eval MODEL --suite FILE` then measures whether the policy still can do what its recipe taught it. The recipe's
scripted players act in a world that neither a recipe nor the package uses for anything else. Kinds of lines:

- *action*: the right action in an episode of the expert.
- *review*: the review of an episode with mistakes.
- *hindsight*: the right action at a wrong turn, where the prompt of the self-teacher says what was wrong.
- *copy*: the right action on a page or records without a history, of which it copies a code, ids or names.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from benchmarks.tiny import clerk, shopper
from benchmarks.tiny.desk_rows import calls_to_copy
from benchmarks.tiny.episodes import desk, play, shop
from benchmarks.tiny.shop_page import PageView
from benchmarks.tiny.shop_rows import with_new_codes
from hero.distill.teacher import HindsightTeacher
from hero.envs.taubench.action import parse_call
from hero.policy import Script
from hero.reflect.model import review_prompt
from hero.types import Diagnosis, Message, Trajectory, Verdict
from hero.warm.rows import as_lines

WORLD = -2
"""Index of the suite's own catalogue or world: recipes count from 0, and the probe of the desk has -1."""
CALL = r'<tool_call>\{"name": "\w+", "arguments": \{.*\}\}</tool_call>'
BUTTON = r"(?:search|click)\[[^\[\]]+\]"
VERDICTS = "|".join(Verdict)
Line = dict[str, Any]


@dataclass(frozen=True)
class World:
    """Holds what the suite of one environment is made of.

    Attributes:
        careless: episodes with mistakes, without end.
        expert: episodes of the expert, without end.
        review: the scripted reader.
        copies: function of an episode of the expert that yields prompts and the replies that copy from them.
        pattern: function of a right action that returns the pattern of its form.
    """

    careless: Iterator[Trajectory]
    expert: Iterator[Trajectory]
    review: Callable[[Trajectory], Diagnosis]
    copies: Callable[[Trajectory], Iterator[tuple[str, str]]]
    pattern: Callable[[str], str]


def webshop(rng: random.Random) -> World:
    """Returns the world of the embedded WebShop, whose product codes are new in every episode."""
    shops = [shop(WORLD, level) for level in ("easy", "medium")]

    def episodes(*players: Script) -> Iterator[Trajectory]:
        while True:
            for player in players:
                for trajectory in play(rng.choice(shops), player, 1, rng):
                    yield with_new_codes(trajectory, rng)

    careless = episodes(shopper.Erratic(rng, 0.3), shopper.Sloppy(rng, *[0.9] * 4))
    return World(careless, episodes(shopper.expert), shopper.review, codes_to_copy, lambda action: BUTTON)


def taubench(rng: random.Random) -> World:
    """Returns the world of the embedded TauBench."""
    service = desk(WORLD)

    def episodes(*players: Script) -> Iterator[Trajectory]:
        while True:
            for player in players:
                yield from play(service, player, 1, rng)

    careless = episodes(clerk.Erratic(rng, 0.2), clerk.Hasty(rng, *[0.9] * 3), clerk.Wanderer(rng))
    pattern: Callable[[str], str] = lambda action: CALL if parse_call(action) else r"(?!<tool_call>).+"  # noqa: E731
    return World(careless, episodes(clerk.expert), clerk.review, calls_to_copy, pattern)


def codes_to_copy(trajectory: Trajectory) -> Iterator[tuple[str, str]]:
    """Yields pages of results on which one result fits, and the click on its code."""
    for turn in trajectory.turns:
        view = PageView(turn.prompt[-1:])
        if view.page == "results" and any(turn.action.text == f"click[{code}]" for code, _, _ in view.items):
            yield view.text, turn.action.text


def actions(world: World, rng: random.Random) -> Iterator[Line]:
    """Yields the right action of a turn of each episode of the expert."""
    for trajectory in world.expert:
        turn = rng.choice(trajectory.turns)
        yield line("action", turn.prompt, turn.action.text, world.pattern(turn.action.text))


def reviews(world: World, rng: random.Random) -> Iterator[Line]:
    """Yields the review of each episode with mistakes; its form is a line for each turn."""
    for trajectory in world.careless:
        form = "\n".join(rf"{number} (?:{VERDICTS})(?:[:;] .+)?" for number in range(1, len(trajectory.turns) + 1))
        yield line("review", review_prompt(trajectory), as_lines(world.review(trajectory)), form)


def hindsight(world: World, rng: random.Random) -> Iterator[Line]:
    """Yields the right action at a wrong turn of each episode that has one."""
    for trajectory in world.careless:
        wrong = [finding for finding in world.review(trajectory).findings if finding.verdict is not Verdict.USEFUL]
        if wrong:
            finding = rng.choice(wrong)
            prompt = HindsightTeacher().context(trajectory, finding.turn, Diagnosis("suite", (finding,)))
            assert prompt is not None
            yield line("hindsight", prompt, finding.advice, world.pattern(finding.advice))


def copies(world: World, rng: random.Random) -> Iterator[Line]:
    """Yields a reply that copies, from each episode of the expert that has one."""
    for trajectory in world.expert:
        if found := list(world.copies(trajectory)):
            text, action = rng.choice(found)
            yield line("copy", [Message("user", text)], action, world.pattern(action))


def line(kind: str, messages: Sequence[Message], reply: str, pattern: str) -> Line:
    """Returns a line of a suite as plain JSON."""
    assert re.fullmatch(pattern, reply), f"{reply!r} does not match {pattern!r}"
    conversation = [{"role": message.role, "content": message.content} for message in messages]
    return {"kind": kind, "messages": conversation, "reply": reply, "pattern": pattern}


WORLDS = {"webshop": webshop, "taubench": taubench}
KINDS = (actions, reviews, hindsight, copies)


def suite(env: str, lines: int, seed: int) -> list[Line]:
    """Returns a suite with the given number of lines of each kind, each from another episode."""
    made = []
    for kind in KINDS:
        rng = random.Random(f"{seed}-{kind.__name__}")
        source = kind(WORLDS[env](rng), rng)
        made += [next(source) for _ in range(lines)]
    return made


def main(
    out: Annotated[Path, typer.Option(help="File for the suite, .jsonl.")],
    env: Annotated[Literal["webshop", "taubench"], typer.Option(help="Environment of the policy.")] = "webshop",
    lines: Annotated[int, typer.Option(help="Number of lines of each kind.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the scripted players.")] = 0,
) -> None:
    """Writes a suite of held-out text for a tiny policy."""
    made = suite(env, lines, seed)
    out.write_text("".join(json.dumps(each) + "\n" for each in made), encoding="utf-8")
    typer.echo(f"{len(made)} lines in {out}; `hero eval MODEL --suite {out}` measures a model on them.")


if __name__ == "__main__":
    typer.run(main)
