"""The check passes the rules that ship, and reports the fault of each of many broken ones."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hero import registry
from hero.envs.taubench.env import TauBenchEnv
from hero.envs.webshop.env import WebShopEnv
from hero.policy import FunctionPolicy
from hero.reflect.check import HOSTILE, check_judge
from hero.rollout import Task, rollout
from hero.types import Action, Finding, Message, Stop, Trajectory, Turn, Verdict

TURNS = tuple(
    Turn((Message("user", "hall"),), Action(text), "hall", 0.0, "a wall", {"action_valid": False, "exits": ["north"]})
    for text in ("south", "<think>hm</think>west", "north")
)
EPISODE = Trajectory("maze", "0", 0, TURNS, Stop.MAX_TURNS)


def wandering(env: WebShopEnv) -> FunctionPolicy:
    """Returns a policy that searches for the goal's words and clicks at random, not always on what is there."""
    rng = random.Random(0)

    def act(messages: object) -> str:
        query = env._goal.text.partition(", and price")[0]
        listed = [action for action in env._info()["available_actions"] if action != "search[...]"]
        return rng.choice([f"search[{query}]", *listed * 2, "click[purple rain]"])

    return FunctionPolicy(act)


def test_the_rules_of_webshop_pass() -> None:
    env = WebShopEnv(level="hard", split="train")
    played = rollout([env], wandering(env), [Task(index, index) for index in range(8)], max_turns=10)
    check_judge(registry.load("hero.rules", "webshop"), played)


def test_the_rules_of_taubench_pass() -> None:
    env, played = TauBenchEnv(data="embedded"), []
    for index, task in enumerate(env._tasks[:8]):
        calls = [json.dumps({"name": call.name, "arguments": call.arguments}) for call in task.actions]
        script = [
            "What is your email?",
            calls[0],
            *calls,
            "{",
            "Shall I go on (yes/no)?",
            *calls[-1:] * 2,
            *["Done."] * 9,
        ]
        policy = FunctionPolicy(lambda messages, script=script: script[sum(m.role == "assistant" for m in messages)])
        played += rollout([env], policy, [Task(index, 0)], max_turns=12)
    check_judge(registry.load("hero.rules", "taubench"), played)


def test_rules_that_have_nothing_to_say_pass() -> None:
    check_judge(lambda trajectory: {}, [EPISODE])
    check_judge(lambda trajectory: dict.fromkeys(range(len(trajectory.turns))), [EPISODE])


def test_useful_actions_may_be_named_as_advice() -> None:
    check_judge(each(lambda index, turn: Finding(index, Verdict.USEFUL, "", "north")), [EPISODE])


def test_it_takes_an_episode_with_turns() -> None:
    with pytest.raises(AssertionError, match="give at least one episode that has turns"):
        check_judge(lambda trajectory: {}, [Trajectory("maze", "0", 0, (), Stop.ERROR, "boom")])


def each(judge: Callable[[int, Turn], Any]) -> Callable[[Trajectory], Mapping[int, Any]]:
    """Returns rules that judge each turn by itself."""
    return lambda trajectory: {index: judge(index, turn) for index, turn in enumerate(trajectory.turns)}


BROKEN: list[tuple[str, Callable[[Trajectory], Any]]] = []


def broken(message: str) -> Callable[[Callable[[Trajectory], Any]], Callable[[Trajectory], Any]]:
    """Registers broken rules with the message that they must be met with."""

    def register(rules: Callable[[Trajectory], Any]) -> Callable[[Trajectory], Any]:
        BROKEN.append((message, rules))
        return rules

    return register


@broken("episode 0 was changed by the rules; copy what you change")
def impatient(trajectory: Trajectory) -> Any:
    for turn in trajectory.turns:
        turn.info.pop("exits", None)  # type: ignore[attr-defined]
    return {}


asked: list[Trajectory] = []


@broken("episode 0 gets other findings when it is judged again; keep no state and draw nothing")
def forgetful(trajectory: Trajectory) -> Any:
    asked.append(trajectory)
    return {0: Finding(0, Verdict.FAILED, f"asked {len(asked)} times")}


@broken("episode 0 has a finding for 3; its turns are numbered from 0 to 2")
def late(trajectory: Trajectory) -> Any:
    return {len(trajectory.turns): Finding(len(trajectory.turns), Verdict.FAILED)}


@broken("episode 0 has a finding for -1; its turns are numbered from 0 to 2")
def backward(trajectory: Trajectory) -> Any:
    return {-1: Finding(-1, Verdict.FAILED)}


@broken("episode 0 has a finding for '0'; its turns are numbered from 0 to 2")
def worded(trajectory: Trajectory) -> Any:
    return {"0": Finding(0, Verdict.FAILED)}


@broken("episode 0, turn 0: the finding is about turn 1; key it by its own turn")
def shifted(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index + 1, Verdict.FAILED))(trajectory)


@broken("episode 0, turn 0: 'failed' is not a hero.types.Finding; return None for a turn that no rule may judge")
def terse(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: "failed")(trajectory)


@broken("episode 0, turn 0: the verdict is None, not a hero.types.Verdict; leave out a turn without one")
def undecided(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, None, "a wall"))(trajectory)


@broken("episode 0, turn 0: the verdict is 'failed', not a hero.types.Verdict")
def spelled(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, "failed"))(trajectory)  # type: ignore[arg-type]


@broken('episode 0, turn 0: the cause is None, not a str with words; give "" where there is nothing to say')
def causeless(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, Verdict.FAILED, None))(trajectory)  # type: ignore[arg-type]


@broken(r"episode 0, turn 0: the advice is '\n', not a str with words")
def blank(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, Verdict.FAILED, "a wall", "\n"))(trajectory)


@broken("episode 0 must get a mapping from turns to findings, not a NoneType; return {} for none")
def mute(trajectory: Trajectory) -> Any:
    return None


@broken("episode 0 without feedback gets other verdicts than with it; judge by actions, observations")
def privileged(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, Verdict.FAILED) if turn.feedback else None)(trajectory)


@broken("episode 0 cut to 0 of 3 turns (truncated) raised IndexError('tuple index out of range'); leave out a turn")
def hasty(trajectory: Trajectory) -> Any:
    assert trajectory.turns[0]
    return {}


@broken("episode 0 cut to 1 of 3 turns (truncated) raised IndexError('tuple index out of range'); leave out a turn")
def farsighted(trajectory: Trajectory) -> Any:
    if trajectory.turns:
        assert trajectory.turns[2]
    return {}


@broken("episode 0 cut to 2 of 3 turns (error) raised ValueError('boom')")
def troubled(trajectory: Trajectory) -> Any:
    if trajectory.error and len(trajectory.turns) == 2:
        raise ValueError("boom")
    return {}


@broken("episode 0 with '' for every action raised IndexError('string index out of range'); leave out a turn")
def literal(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: turn.action.text[0] and None)(trajectory)


@broken("episode 0 with '' for the action of turn 0 raised ValueError('mixed')")
def uniform(trajectory: Trajectory) -> Any:
    texts = {turn.action.text in HOSTILE for turn in trajectory.turns}
    if len(texts) == 2:
        raise ValueError("mixed")
    return {}


@broken("episode 0, turn 1: 'west' is both faulted (failed) and advised; leave the advice out")
def stubborn(trajectory: Trajectory) -> Any:
    return each(lambda index, turn: Finding(index, Verdict.FAILED, "a wall", "west"))(trajectory)


@pytest.mark.parametrize(("message", "rules"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_broken_rules_are_met_with_what_to_change(message: str, rules: Callable[[Trajectory], Any]) -> None:
    with pytest.raises(AssertionError, match=f"^{re.escape(message)}"):
        check_judge(rules, [EPISODE])


def test_every_episode_is_checked() -> None:
    def rules(trajectory: Trajectory) -> Any:
        return {9: None} if trajectory.task_id == "1" else {}

    with pytest.raises(AssertionError, match="episode 1 has a finding for 9"):
        check_judge(rules, [EPISODE, Trajectory("maze", "1", 0, TURNS, Stop.TERMINATED)])
