"""Environments that were written for gymnasium alone are played as they are, and what is missing is filled in."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hero.envs
from hero.envs.adapt import FIRST_SEEDS, MAX_TASKS, RandomFence
from hero.envs.contract import check_text_env
from hero.envs.foreign import GymnasiumEnv
from hero.errors import ConfigError
from tests.envs.foreign import Corridor

HOME = "tests.envs.foreign"
NAMED = {"actions": ["left", "right"]}


@pytest.mark.parametrize(
    "make",
    [
        partial(GymnasiumEnv, id=f"{HOME}:Corridor", **NAMED),
        partial(GymnasiumEnv, id=f"{HOME}:HeroTestCorridor-v0", instructions="Find the door.", **NAMED),
        partial(GymnasiumEnv, id=f"{HOME}:Oracle", tasks=3, split="test"),
        partial(hero.envs.make, f"{HOME}:Corridor", **NAMED),
        partial(hero.envs.make, f"gym:{HOME}:HeroTestCorridor-v0", **NAMED),
    ],
)
def test_foreign_environments_keep_the_contract(make: Any) -> None:
    check_text_env(make)


def test_named_actions_reach_the_environment_and_others_cost_a_turn() -> None:
    env, alone = GymnasiumEnv(id=f"{HOME}:Corridor", **NAMED), Corridor()
    for task in range(5):
        observation, info = env.reset(seed=9, options={"task": task})
        assert observation == alone.reset(seed=task)[0]
        assert info == {"task_id": f"train-{task}", "available_actions": ["left", "right"]}
        answer = env.step("run")
        assert answer[:4] == (observation, 0.0, False, False)
        assert (answer[4]["action_valid"], answer[4]["feedback"]) == (False, "answer with one of: left, right")
        total = 0.0
        while not answer[2]:
            answer, expected = env.step(" left\n"), alone.step(3)
            assert answer[:4] == expected[:4]
            total += expected[1]
        assert answer[4]["success"] == (total > 0)


@pytest.mark.parametrize(
    "text",
    ["left", " left\n", '"left"', "<think>not right</think>left", "Thought: go.\nAction: left", "```\nleft\n```"],
)
def test_a_named_action_is_understood_as_models_write_it(text: str) -> None:
    env = GymnasiumEnv(id=f"{HOME}:Corridor", **NAMED)
    env.reset(options={"task": 0})
    assert env.step(text)[4]["action_valid"]


def test_a_name_that_reads_as_a_label_is_a_name() -> None:
    env = GymnasiumEnv(id=f"{HOME}:Corridor", actions=["Action: left", "'right'"])
    for name in env.reset(options={"task": 0})[1]["available_actions"]:
        assert env.step(name)[4]["action_valid"]


def test_success_is_what_the_environment_says_or_a_sum_of_rewards_above_the_threshold() -> None:
    env = GymnasiumEnv(id=f"{HOME}:Corridor", success_above=0.85, **NAMED)
    outcomes = set()
    for task in range(9):
        env.reset(options={"task": task})
        rewards = []
        while True:
            _, reward, done, _, info = env.step("left")
            rewards.append(reward)
            if done:
                break
        assert info["success"] == (sum(rewards) > 0.85)
        outcomes.add(info["success"])
    assert outcomes == {True, False}
    oracle = GymnasiumEnv(id=f"{HOME}:Oracle")
    oracle.reset(options={"task": 0})
    assert oracle.step("maybe")[4]["action_valid"] is False
    assert oracle.step("yes")[4]["success"] is True  # with a reward of -1


def test_an_action_outside_the_space_is_not_valid_and_no_step() -> None:
    env = GymnasiumEnv(id=f"{HOME}:Oracle")
    observation, info = env.reset(options={"task": 0})
    assert info["available_actions"] == ["yes", "no"]
    again, reward, done, cut, info = env.step("YES, please")
    assert (again, reward, done, cut, info["action_valid"]) == (observation, 0.0, False, False, False)
    assert info["feedback"].startswith("it is not in Text(1, 5")
    assert info["available_actions"] == ["yes", "no"]


def test_feedback_that_the_observation_says_as_well_is_not_privileged() -> None:
    env = GymnasiumEnv(id=f"{HOME}:Talkative")
    env.reset(options={"task": 0})
    assert env.step("no")[4]["feedback"] == "the environment says that it is not valid"
    assert env.step("yes")[4]["feedback"] == ""
    check_text_env(partial(GymnasiumEnv, id=f"{HOME}:Talkative"))


def test_splits_share_no_seed() -> None:
    starts = sorted(FIRST_SEEDS.values())
    assert all(second - first >= MAX_TASKS for first, second in pairwise(starts))
    said = set()
    for split in FIRST_SEEDS:
        env = GymnasiumEnv(id=f"{HOME}:Oracle", split=split, tasks=5)
        assert env.num_tasks == 5
        said |= {env.reset(options={"task": task})[0] for task in range(5)}
    assert len(said) == 15


@pytest.mark.parametrize("name", [f"{HOME}:Questions", "HeroTestQuestions-v2", f"{HOME}:HeroTestQuestions-v2"])
def test_an_environment_with_splits_of_its_own_plays_the_one_that_is_asked_for(name: str) -> None:
    for split in FIRST_SEEDS:
        env = hero.envs.make(f"gym:{name}", split=split)
        assert env.reset(options={"task": 0})[0] == f"A question of {split}"


def test_an_environment_with_a_render_mode_of_its_own_is_rendered_as_it_is_seen() -> None:
    env = GymnasiumEnv(id=f"{HOME}:Questions", render_mode="ansi")
    assert env.reset(options={"task": 0})[0] == env.render()


def test_an_id_without_a_version_is_the_newest_and_one_of_a_split_keeps_it() -> None:
    assert GymnasiumEnv(id="HeroTestExam-v0", split="train").reset(options={"task": 0})[0] == "A question of test"
    with pytest.warns(UserWarning, match="Using the latest versioned environment `HeroTestQuestions-v2`"):
        env = GymnasiumEnv(id="HeroTestQuestions", split="test")
    assert env.reset(options={"task": 0})[0] == "A question of test"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=12))
def test_every_fence_draws_as_if_it_were_alone(blocks: list[tuple[int, int]]) -> None:
    """Blocks of several fences, in any order, and the process itself, each go on with their own numbers."""
    own = [(random.Random(seed), np.random.RandomState(seed)) for seed in range(3)]
    fences = [RandomFence() for _ in own]
    for seed, fence in enumerate(fences):
        with fence.inside(seed):
            pass
    random.seed(99)
    np.random.seed(99)
    outside = random.Random(99), np.random.RandomState(99)
    for index, count in blocks:
        with fences[index].inside():
            assert [random.random() for _ in range(count)] == [own[index][0].random() for _ in range(count)]
            assert [np.random.rand() for _ in range(count)] == [own[index][1].rand() for _ in range(count)]
        assert (random.random(), np.random.rand()) == (outside[0].random(), outside[1].rand())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": f"{HOME}:Nobody"}, "cannot be imported: .*has no attribute 'Nobody'"),
        ({"id": "nowhere:Env"}, "No module named 'nowhere'.*start hero where that module is"),
        ({"id": "Nowhere-v0"}, r"the environment Nowhere-v0 cannot be built: .*Nowhere"),
        ({"id": f"{HOME}:NOT_AN_ENVIRONMENT"}, "is 5, not an environment"),
        ({"id": f"{HOME}:strange"}, r"builds \[5\], not a gymnasium.Env"),
        ({"id": f"{HOME}:Numbers"}, r"observations of .* are Discrete\(3\), not texts; put a gymnasium.Observation"),
        ({"id": f"{HOME}:Levers"}, "neither texts nor a few that could have names"),
        ({"id": f"{HOME}:Corridor"}, r"has 2 actions without names; give them .*not \[\]"),
        ({"id": f"{HOME}:Corridor", "actions": ["a", "a"]}, "2 different strings"),
        ({"id": f"{HOME}:Oracle", "actions": ["a"]}, "does nothing with .*whose actions are texts"),
        ({"id": f"{HOME}:Corridor", "width": 3, **NAMED}, "cannot be built: .*unexpected keyword argument 'width'"),
        ({"id": f"{HOME}:long_corridor", "tasks": 5, **NAMED}, "has an option tasks of its own, which this one hides"),
        ({"id": f"{HOME}:Questions", "success_above": 0.5}, "has an option success_above of its own"),
        ({"id": "HeroTestQuestions-v2", "success_above": 0.5}, "has an option success_above of its own"),
        ({"id": "nowhere:Env-v0"}, "the environment nowhere:Env-v0 cannot be built: .*No module named 'nowhere'"),
        ({"id": f"{HOME}:Corridor", "split": "dev", **NAMED}, "split='dev' is not one of"),
        ({"id": f"{HOME}:Corridor", "tasks": MAX_TASKS + 1, **NAMED}, "at least 1 and at most 1000000"),
    ],
)
def test_what_cannot_be_filled_in_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GymnasiumEnv(**options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OldReset", r"reset must return \(observation, info\), not 'Say yes.'"),
        (
            "OldStep",
            r"step must return \(observation, reward, terminated, truncated, info\), not \('Yes.', 1.0, True, {}\)",
        ),
        ("NoInfo", "the info of step must be a dict, not None"),
    ],
)
def test_an_environment_of_another_interface_is_told_what_gymnasium_asks_for(name: str, message: str) -> None:
    env = GymnasiumEnv(id=f"{HOME}:{name}")
    with pytest.raises(TypeError, match=message):
        [env.reset(options={"task": 0}), env.step("yes")]


@pytest.mark.parametrize(
    ("name", "resolved"),
    [
        ("webshop", ("webshop", {})),
        ("gym:CartPole-v1", ("gym", {"id": "CartPole-v1"})),
        (f"{HOME}:Corridor", ("gym", {"id": f"{HOME}:Corridor"})),
        ("hero.envs.webshop.env:WebShopEnv", ("hero.envs.webshop.env:WebShopEnv", {})),
        ("unheard-of", ("unheard-of", {})),
    ],
)
def test_a_name_stands_for_a_component_and_what_it_implies(name: str, resolved: tuple[str, dict[str, str]]) -> None:
    assert hero.envs.resolve(name, {"x": 1}) == (resolved[0], {**resolved[1], "x": 1})
    if resolved[1]:
        with pytest.raises(ConfigError, match="contradicts the name"):
            hero.envs.resolve(name, {"id": "y"})
