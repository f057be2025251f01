"""Hostile actions, on catalogues that nobody checked; and equal episodes in other processes."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.chat.thoughts import readings
from hero.envs.webshop.actions import PLAIN, Command, parse_action
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.page_parts import Page
from tests.envs.webshop.episodes import moves, play
from tests.envs.webshop.files import catalogue, write
from tests.envs.webshop.recorded import lines, needs_recordings
from tests.hostile import actions, call_with_each, texts

KINDS: list[dict[str, Any]] = [
    {"compat": compat, "observation": observation}
    for compat in (None, "upstream")
    for observation in ("text", "text_rich")
]
LONG = 100_000
values = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.sampled_from(["10/", "/", "", " ", "a\nb", "x]", "[x", "a]b[c", '"', "\\", "buy now", "search", "< prev", "İ"]),
)
offers = st.lists(values, min_size=1, max_size=6)
long_actions = st.builds(
    lambda start, piece, end: start + piece * (LONG // len(piece)) + end,
    st.sampled_from(["", "search[", "click[", "[" * 9]),
    st.text(st.characters(exclude_categories=()), min_size=1, max_size=4),
    st.sampled_from(["", "]", "]" * 9, "\n"]),
)


@contextmanager
def shop(offered: Sequence[str], **kwargs: Any) -> Iterator[WebShopEnv]:
    """Opens a shop with one product, B000000001, that offers these values in its only group of options."""
    with TemporaryDirectory() as folder:
        data = write(Path(folder), catalogue([("B000000001", "Find me shoes", offered)]))
        yield WebShopEnv(data=data, split="test", goals="human", **kwargs)


@given(offers, st.sampled_from(KINDS), st.integers(0, 9))
def test_whatever_is_on_sale_all_that_is_listed_works(offered: list[str], kind: dict[str, Any], choice: int) -> None:
    with shop(offered, **kind) as env:
        env.reset(seed=0)
        env.step("search[shoe]")
        listed = env.step("click[b000000001]")[4]["available_actions"]
        action = listed[choice % len(listed)]
        assert env.step(action)[4]["action_valid"], action


@given(values)
def test_every_value_that_is_not_blank_can_be_chosen(value: str) -> None:
    with shop([value]) as env:
        env.reset(seed=0)
        env.step("search[shoe]")
        env.step("click[b000000001]")
        (name,) = env._shop.inventory.products["B000000001"].options["size"]
        assert env.step(f"click[{name}]")[4]["action_valid"] == bool(name.strip())
        assert env._state.options == ({"size": name} if name.strip() else {})


@given(offers, st.lists(long_actions, min_size=1, max_size=2), moves, st.sampled_from(KINDS))
@settings(max_examples=30)
def test_long_actions_neither_raise_nor_confuse(
    offered: list[str], long: list[str], drawn: list[str | int], kind: dict[str, Any]
) -> None:
    with shop(offered, **kind) as env:
        for before, step in pairwise(play(env, [*drawn[:5], *long, *drawn[5:]], seed=0)):
            info = step[5]
            assert info["action_valid"] != bool(info["feedback"])
            assert len(info["feedback"]) < 1000
            if not info["action_valid"]:
                assert step[1] == before[1]
        state = env._state
        assert (state.asin in env._shop.inventory.products) or state.page in (Page.SEARCH, Page.RESULTS)
        assert set(state.options.values()) <= set(env._shop.inventory.products["B000000001"].options["size"])
        assert state.number >= 1


UPSTREAM_ACTION = re.compile(r"(.+)\[(.+)\]")
"""The pattern by which the original splits an action, which takes time quadratic in opening brackets."""


def split_upstream(action: str) -> Command | None:
    match = UPSTREAM_ACTION.match(action)
    verb, argument = (match[1], match[2].lower()) if match else ("", "")
    if verb == "search":
        return Command("search", argument)
    return Command("click", argument) if verb == "click" else None


@given(
    st.lists(st.sampled_from([*"[[]] \n\rxA\u2028", "search", "click", "search[", "click["]), max_size=10).map("".join)
)
def test_an_action_is_split_as_the_original_splits_it(action: str) -> None:
    assert parse_action(action, upstream=True) == split_upstream(action)


@needs_recordings
def test_recorded_actions_are_split_as_the_original_splits_them() -> None:
    recorded = {step["action"] for episode in lines("trajectories") for step in episode["steps"]}
    assert len(recorded) > 100
    assert [parse_action(action, upstream=True) for action in recorded] == list(map(split_upstream, recorded))


@pytest.mark.parametrize("upstream", [False, True])
def test_an_action_of_any_kind_is_split_in_a_moment(upstream: bool) -> None:
    call_with_each(lambda action: parse_action(action, upstream=upstream), [*texts(), *actions()])


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[-1]])
def test_a_turn_takes_a_moment_whatever_the_action(kind: dict[str, Any]) -> None:
    with shop(["s", "m", "]", "[x"], **kind) as env:
        env.reset(seed=0)

        def turn(action: str) -> None:
            env.step(action)
            for move in ("click[b000000001]", "click[s]", "click[features]", "click[back to search]"):
                env.step(move)

        call_with_each(turn, actions())


PLAYED = """
import random, sys
from hashlib import sha256
from hero.envs.webshop.env import WebShopEnv
random.seed(int(sys.argv[2]))
seen = []
for compat in (None, "upstream"):
    for observation in ("text", "text_rich"):
        for source in ({"level": "easy"}, {"data": sys.argv[1], "goals": "human", "split": "test"}):
            env = WebShopEnv(compat=compat, observation=observation, **source)
            for seed in range(5):
                seen.append(env.reset(seed=seed))
                for move in range(15):
                    listed = seen[-1][-1]["available_actions"]
                    action = listed[(7 * move + seed) % len(listed)]
                    seen.append(env.step("search[green tea shoe]" if action == "search[...]" else action))
                    if seen[-1][2] or seen[-1][3]:
                        break
print(len(seen), sha256(repr(seen).encode()).hexdigest())
"""


def test_equal_seeds_and_actions_give_equal_episodes_in_other_processes(tmp_path: Path) -> None:
    data = write(tmp_path, catalogue([(f"B00000000{n}", f"Find {n}", ["s", "m", "l"]) for n in range(9)]))
    printed = {
        subprocess.run(
            [sys.executable, "-c", PLAYED, str(data), salt],
            env={"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in "12"
    }
    assert len(printed) == 1
    assert int(printed.pop().split()[0]) > 300


@pytest.mark.parametrize("compat", [None, "upstream"])
def test_episodes_in_processes_of_a_vector_are_those_played_alone(compat: Any) -> None:
    def make() -> WebShopEnv:
        return WebShopEnv(level="easy", compat=compat)

    alone = [make(), make()]
    # Shared memory needs observations of one size.
    vector = AsyncVectorEnv([make] * 2, shared_memory=False)
    try:
        observations = vector.reset(seed=[3, 4])[0]
        resets = [env.reset(seed=seed) for env, seed in zip(alone, [3, 4], strict=True)]
        assert observations == tuple(observation for observation, _ in resets)
        infos = [info for _, info in resets]
        for move in range(6):
            listed = [info["available_actions"] for info in infos]
            actions = [choices[(5 * move + 3) % len(choices)] for choices in listed]
            actions = ["search[green tea]" if action == "search[...]" else action for action in actions]
            steps = [env.step(action) for env, action in zip(alone, actions, strict=True)]
            observations, rewards, terminated, truncated, info = vector.step(actions)
            assert observations == tuple(step[0] for step in steps)
            for part, values in enumerate((rewards, terminated, truncated), 1):
                assert values.tolist() == [step[part] for step in steps]
            assert list(info["task_id"]) == [step[4]["task_id"] for step in steps]
            infos = [step[4] for step in steps]
            if any(step[2] or step[3] for step in steps):
                break
        assert move >= 3
    finally:
        vector.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_original_files_too_leave_the_global_random_state_alone(kind: dict[str, Any]) -> None:
    def state() -> tuple[object, ...]:
        return random.getstate(), *map(str, np.random.get_state())

    before = state()
    with shop(["s", "m"], **kind) as env:  # the product has a range of prices, and the goals bounds: all drawn
        prices = env._shop.prices
        record = play(env, list(range(10)), seed=0)
    assert state() == before
    random.seed(1)
    np.random.seed(1)
    with shop(["s", "m"], **kind) as env:
        assert env._shop.prices == prices
        assert play(env, list(range(10)), seed=0) == record


@given(st.from_regex(PLAIN, fullmatch=True))
def test_a_plain_action_is_read_as_any_other(action: str) -> None:
    assert next(readings(action)) == action
    assert parse_action(action) == parse_action(f"<think>hm</think>{action}")


def test_a_thought_within_brackets_is_not_part_of_a_plain_action() -> None:
    assert parse_action("search[<think>hm</think>shoes]") == Command("search", "shoes")
