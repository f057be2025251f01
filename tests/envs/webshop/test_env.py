"""The environment: the contract of text environments, the grammar of actions, and recorded episodes."""

from __future__ import annotations

import random
from copy import deepcopy
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st

import hero.envs
from hero.envs.contract import check_text_env
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.goals.goals import Goal
from hero.envs.webshop.reward import score
from hero.errors import ConfigError
from tests.envs.webshop.episodes import moves, play, play_on
from tests.envs.webshop.recorded import DATA, lines, needs_recordings


def best_purchase(env: WebShopEnv, task: int) -> tuple[list[str], str]:
    """Returns the actions that solve a task of the embedded catalogue, and the asin to buy."""
    goal = env._goals[task]
    asin = goal.product.asin.lower()
    chosen = [f"click[{value}]" for value in goal.options]
    actions = [f"search[{goal.product.title} {' '.join(goal.product.attributes)}]", f"click[{asin}]", *chosen]
    return [*actions, "click[buy now]"], asin


@pytest.mark.parametrize("compat", [None, "upstream"])
def test_the_contract_of_text_environments(compat: Any) -> None:
    check_text_env(lambda: WebShopEnv(level="easy", compat=compat))


@given(moves, st.integers(0, 5))
def test_success_alone_is_rewarded_where_that_is_asked_for(drawn: list[str | int], task: int) -> None:
    by_score, by_success = WebShopEnv(level="easy"), WebShopEnv(level="easy", reward="success")
    solved, asin = best_purchase(by_score, task)
    careless = [solved[0], f"click[{asin}]", "click[buy now]"]  # without the options that were asked for
    for actions in (drawn, careless, solved):
        records = [play(env, list(actions), options={"task": task}) for env in (by_score, by_success)]
        for (_, _, scored, *_), (_, _, rewarded, *_) in zip(*records, strict=True):
            assert rewarded == (scored == 1.0)
        without = [[(action, page, *rest) for action, page, _, *rest in record] for record in records]
        assert without[0] == without[1]


@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_gymnasium_s_checker_passes(render_mode: str | None) -> None:
    hero.envs.register()
    hero.envs.register()
    env = gymnasium.make("hero/WebShop-v0", level="easy", render_mode=render_mode)
    check_env(env.unwrapped)
    observation, _ = env.reset(seed=0)
    assert env.render() == (observation if render_mode else None)


@pytest.mark.parametrize(
    "kind", [SyncVectorEnv, AsyncVectorEnv, lambda envs: AsyncVectorEnv(envs, shared_memory=False)]
)
def test_vectors_of_environments(kind: Any) -> None:
    alone = WebShopEnv(level="easy")
    vector = kind([lambda: WebShopEnv(level="easy")] * 2)
    try:
        observations, _ = vector.reset(seed=[3, 4])
        assert observations == (alone.reset(seed=3)[0], alone.reset(seed=4)[0])
        observations, _, _, _, info = vector.step(["search[green tea]", "nothing"])
        assert observations[1] == alone.step("nothing")[0]
        assert list(info["action_valid"]) == [True, False]
    finally:
        vector.close()


@given(moves, st.integers(0, 2**31), st.sampled_from([None, "upstream"]), st.sampled_from(["text", "text_rich"]))
def test_no_action_breaks_an_episode(drawn: list[str | int], seed: int, compat: Any, observation: Any) -> None:
    env = WebShopEnv(level="easy", compat=compat, observation=observation)
    record = play(env, drawn, seed=seed)
    assert record == play(WebShopEnv(level="easy", compat=compat, observation=observation), drawn, seed=seed)
    for before, (action, text, reward, terminated, truncated, info) in pairwise(record):
        assert 0 <= reward <= 1
        assert reward == 0 or terminated
        assert ("success" in info) == ("metrics" in info) == terminated
        assert not truncated
        assert bool(info["feedback"]) != info["action_valid"]
        if info["action_valid"]:
            assert terminated == (action.lower().startswith("click[buy now]"))
        else:
            assert text == before[1]
            assert info["clickables"] == before[5]["clickables"]


@given(moves, moves, moves, st.integers(0, 2**31), st.sampled_from([None, "upstream"]))
def test_a_copy_goes_on_by_itself(
    before: list[str | int], after: list[str | int], aside: list[str | int], seed: int, compat: Any
) -> None:
    env = WebShopEnv(level="easy", compat=compat)
    record = play(env, before, seed=seed)
    twin = deepcopy(env)
    play_on(env, record, aside)
    assert play_on(twin, record, after) == play(WebShopEnv(level="easy", compat=compat), before + after, seed=seed)
    assert twin.reset() == env.reset()
    assert twin._shop is env._shop


@given(moves, st.integers(0, 2**31))
def test_available_actions_are_the_clickables_and_the_search(drawn: list[str | int], seed: int) -> None:
    env = WebShopEnv(level="easy")
    info = play(env, drawn, seed=seed)[-1][5]
    for value in info["clickables"]:
        assert f"click[{value}]" in info["available_actions"]
    assert ("search[...]" in info["available_actions"]) == info["has_search_bar"]
    assert len(info["available_actions"]) == len(info["clickables"]) + info["has_search_bar"]


def test_the_global_random_state_is_neither_read_nor_changed() -> None:
    def state() -> tuple[object, ...]:
        return random.getstate(), *map(str, np.random.get_state())

    before = state()
    env = WebShopEnv(level="easy", catalogue_seed=12345)  # built here, not taken from the cache
    first = play(env, list(range(10)), seed=0)
    assert state() == before
    random.seed(1)
    assert play(WebShopEnv(level="easy", catalogue_seed=12345), list(range(10)), seed=0) == first


def test_a_shop_is_built_once() -> None:
    assert WebShopEnv(split="train")._shop is WebShopEnv(split="test", observation="text_rich")._shop
    assert WebShopEnv(goal_seed=7)._shop.inventory is WebShopEnv()._shop.inventory
    assert WebShopEnv(goal_seed=7)._shop.prices is not WebShopEnv()._shop.prices


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_tasks_can_be_solved(level: str) -> None:
    env = WebShopEnv(level=level, split="validation")
    for task in range(0, env.num_tasks, 10):
        actions, asin = best_purchase(env, task)
        _, info = env.reset(options={"task": task})
        assert info["task_id"] == f"validation-{task}"
        for action in actions[:1]:
            info = env.step(action)[4]
        while asin not in info["clickables"]:
            info = env.step("click[next >]")[4]
        for action in actions[1:]:
            observation, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)
        assert info["metrics"]["r_att"] == 1.0
        assert ("r_option" in info["metrics"]) == bool(env._goals[task].options)
        assert observation == "Thank you for shopping with us!"
        assert info["available_actions"] == []


def test_the_selected_option_shows() -> None:
    env = WebShopEnv(level="easy")
    env.reset(options={"task": 0})
    actions, _ = best_purchase(env, 0)
    shown = [env.step(action)[0] for action in actions[:2]][-1]
    assert " (selected)" not in shown
    group = env._goals[0].product.options
    first, second = next(iter(group.values()))[:2]
    assert env.step(f"click[{first}]")[0] == shown.replace(f"[SEP] {first} [SEP]", f"[SEP] {first} (selected) [SEP]", 1)
    assert env.step(f"click[{second}]")[0] == shown.replace(
        f"[SEP] {second} [SEP]", f"[SEP] {second} (selected) [SEP]", 1
    )
    assert f"{second} (selected)" in env.step("click[features]")[0] + env.step("click[< prev]")[0]
    env.step("click[< prev]")
    assert " (selected)" not in env.step(actions[1])[0]


def test_search_works_only_where_there_is_a_search_bar() -> None:
    env = WebShopEnv(level="easy")
    env.reset(seed=0)
    page = env.step("search[green tea]")[0]
    observation, _, _, _, info = env.step("search[rain jacket]")
    assert (observation, info["action_valid"]) == (page, False)
    assert "no search bar" in info["feedback"]


@pytest.mark.parametrize("query", ["<r>", "<c> beauty", "<q> lip balm", "<a> scented", "<c>", "<a>"])
@pytest.mark.parametrize("compat", [None, "upstream"])
def test_back_doors_are_ordinary_queries(query: str, compat: Any) -> None:
    env = WebShopEnv(level="easy", compat=compat)
    env.reset(seed=0)
    backdoor = env.step(f"search[{query}]")[0]
    env.reset(seed=0)
    words = query.strip("<").replace("> ", " ").replace(">", "")
    assert env.step(f"search[{words}]")[0] == backdoor


@pytest.mark.parametrize(
    ("action", "valid"),
    [
        ("search[green tea]", True),
        ("  Search[ GREEN\ntea ]\n", True),
        ("SEARCH[[x]]", True),
        ("search[]", False),
        ("search[  ]", False),
        ("search green tea", False),
        ("search[green tea] and more", False),
        ("I will search[green tea]", False),
        ("click[search]", False),
        ("think[green tea]", False),
    ],
)
def test_grammar(action: str, valid: bool) -> None:
    env = WebShopEnv(level="easy")
    env.reset(seed=0)
    assert env.step(action)[4]["action_valid"] is valid


def test_feedback_names_what_there_is() -> None:
    env = WebShopEnv(level="easy")
    env.reset(seed=0)
    assert env.step("click[foo]")[4]["feedback"] == 'no such button: "foo"; write search[words] on this page'
    env.step("search[!!!]")
    assert env.step("click[foo]")[4]["feedback"] == 'no such button: "foo"; there are: back to search, next >'
    assert len(env.step("x" * 100_000)[4]["feedback"]) < 200


def test_an_episode_ends_with_the_purchase_and_never_before() -> None:
    env = WebShopEnv(level="easy")
    with pytest.raises(ResetNeeded):
        env.step("search[x]")
    env.reset(seed=0)
    assert not any(any(env.step("a")[2:4]) for _ in range(100))
    info = env.step("search[green tea]")[4]
    env.step(f"click[{info['clickables'][-1]}]")
    assert env.step("click[buy now]")[2:4] == (True, False)
    with pytest.raises(ResetNeeded):
        env.step("c")


def test_gymnasium_limits_the_turns() -> None:
    hero.envs.register()
    env = gymnasium.make("hero/WebShop-v0", level="easy", max_episode_steps=2)
    env.reset(seed=0)
    assert [env.step("a")[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_the_no_op_baseline_is_the_reward_of_invalid_actions() -> None:
    env = WebShopEnv(level="easy")
    env.reset(options={"task": 0})
    assert sum(env.step("")[1] for _ in range(3)) == env.noop_reward(0) == 0


def test_tasks_are_drawn_from_the_seed_alone() -> None:
    env = WebShopEnv(level="easy")
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]
    assert len(set(drawn)) > 10
    assert [env.reset(seed=seed)[1]["task_id"] for seed in range(20)] == drawn
    assert env.reset(options={"task": np.int64(5)})[1]["task_id"] == "train-5"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": 10_000}, "task 10000 is not an integer from 0 to [0-9]+ .train"),
        ({"task": -1}, "task -1 is not an integer from 0 to [0-9]+ .train"),
        ({"task": "5"}, "'5' is not an integer"),
        ({"task": True}, "True is not an integer"),
        ({"taks": 5}, "not 'taks'"),
    ],
)
def test_wrong_reset_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WebShopEnv(level="easy").reset(options=options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "'train'"),
        ({"level": "simple"}, "'easy', 'medium', 'hard'"),
        ({"observation": "html"}, "'text_rich'"),
        ({"compat": "upsteam"}, "'upstream'"),
        ({"render_mode": "human"}, "'ansi'"),
        ({"goals": "both"}, "'synthetic'"),
        ({"goals": "synthetic"}, "no synthetic goals"),
        ({"level": ["easy"]}, "easy', 'medium"),
        ({"split": {}}, "'test', 'validation'"),
        ({"goal_seed": 2.5}, "goal_seed=2.5 is not possible"),
        ({"goal_seed": True}, "goal_seed=True is not possible"),
        ({"goal_seed": None}, "goal_seed=None is not possible; give an integer of at least 0"),
        ({"goal_seed": [1]}, "goal_seed=.1. is not possible"),
        ({"catalogue_seed": -1}, "catalogue_seed=-1 is not possible"),
        ({"catalogue_seed": "x"}, "catalogue_seed='x' is not possible"),
        ({"data": 5}, r"data=5 is not a path; give a directory as a str, \./5 for"),
        ({"data": True}, "data=True is not a path"),
        ({"data": ""}, "data='' is not a path"),
        ({"data": "a\0b"}, "data=.* is not a path"),
        ({"data": "x", "level": "easy"}, "leave them out"),
        ({"data": "x", "catalogue_seed": 1}, "leave them out"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WebShopEnv(**arguments)


def test_instructions_are_short() -> None:
    assert 10 < len(WebShopEnv.instructions.split()) < 45
    assert "search[" in WebShopEnv.instructions
    assert "click[" in WebShopEnv.instructions


@needs_recordings
@pytest.mark.parametrize("observation", ["text", "text_rich"])
def test_episodes_are_those_that_were_recorded(observation: Any) -> None:
    episodes = lines("trajectories")
    assert len(episodes) == 34
    for episode in episodes:
        # The recordings count goals over all splits; the customary order is test, then validation.
        split, first = ("test", 0) if episode["goal_idx"] < 500 else ("validation", 500)
        env = WebShopEnv(
            data=DATA,
            split=split,
            goals=episode["goal_set"],
            compat="upstream",
            observation=observation,
        )
        text, info = env.reset(options={"task": episode["goal_idx"] - first})
        _assert_same(text, info, episode["initial"], observation)
        for step in episode["steps"]:
            text, reward, terminated, _, info = env.step(step["action"])
            _assert_same(text, info, step, observation)
            assert (reward, terminated) == (step["reward"], step["done"])


def _assert_same(text: str, info: dict[str, Any], recorded: dict[str, Any], observation: str) -> None:
    assert text == recorded[observation]
    shown = {key: info[key] for key in ("clickables", "has_search_bar")}
    assert shown == recorded["available_actions"]


@needs_recordings
def test_goals_out_of_reach_upstream_are_within_reach_here() -> None:
    def out_of_reach(goal: Goal) -> bool:
        chosen = dict(zip(goal.groups, goal.options, strict=True))
        return score(goal, goal.product, chosen, 0.0, upstream=True).total < 1

    rewards = {}
    kinds: tuple[Any, ...] = ("upstream", None)
    for compat in kinds:
        env = WebShopEnv(data=DATA, split="test", compat=compat)
        task = next(task for task, goal in enumerate(env._goals) if out_of_reach(goal))
        env.reset(options={"task": task})
        for action in best_purchase(env, task)[0]:
            _, rewards[compat], terminated, _, _ = env.step(action)
        assert terminated
    assert rewards["upstream"] < rewards[None] == 1.0


@needs_recordings
def test_a_split_without_goals_is_an_error() -> None:
    with pytest.raises(ConfigError, match="split 'train' holds no human goals"):
        WebShopEnv(data=DATA, goals="human")
