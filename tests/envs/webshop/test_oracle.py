"""Labels from the hidden goal: right actions lead to reward 1, and brute force finds the same ones."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.oracle import Oracle
from hero.envs.webshop.page_parts import Page, State
from hero.envs.webshop.reward import score
from hero.errors import ConfigError
from hero.policy import FunctionPolicy
from hero.rollout import Task, rollout
from hero.types import Trajectory
from tests.envs.webshop.episodes import moves, play
from tests.envs.webshop.files import FILES, HUMAN, ITEM, write
from tests.envs.webshop.recorded import DATA, needs_recordings

LEVELS = st.sampled_from(["easy", "hard"])


def oracle_of(env: WebShopEnv) -> Oracle:
    """Returns an oracle of the goal that an environment is playing."""
    return Oracle(env._shop, env._goal, upstream=env._upstream)


def queries(env: WebShopEnv) -> list[str]:
    goal = env._goal
    return [f"search[{text}]" for text in (goal.product.title, goal.text, f"{goal.product.title} {goal.text}", "tea")]


def candidates(env: WebShopEnv, info: dict[str, Any]) -> list[str]:
    """Returns the actions that the page lists, with queries in place of the search."""
    listed = [action for action in info["available_actions"] if action != "search[...]"]
    return [*listed, *queries(env)]


def clicks(env: WebShopEnv, asin: str, chosen: dict[str, str]) -> int | None:
    """Returns the least number of clicks on options before a purchase of reward 1, found by trying all of them."""
    item, price = env._shop.inventory.products[asin], env._shop.prices[asin]
    costs = []
    for values in product(*([None, *group] for group in item.options.values())):
        clicked = {group: value for group, value in zip(item.options, values, strict=True) if value is not None}
        if score(env._goal, item, chosen | clicked, price, upstream=env._upstream).total == 1.0:
            costs.append(sum(chosen.get(group) != value for group, value in clicked.items()))
    return min(costs, default=None)


def follow(env: WebShopEnv, info: dict[str, Any], choices: random.Random) -> float:
    """Takes right actions, any of them, until the purchase; returns its reward."""
    oracle = oracle_of(env)
    for _ in range(40):
        right = [action for action in candidates(env, info) if oracle.is_right(env._state, action)]
        assert right, f"nothing is right on {env._state}"
        _, reward, terminated, _, info = env.step(choices.choice(right))
        if terminated:
            return reward
    raise AssertionError(f"right actions lead in a circle: {env._state}")


@settings(max_examples=50)
@given(moves, st.integers(0, 2**31), LEVELS, st.sampled_from([None, "upstream"]))
def test_right_actions_lead_to_full_reward_from_wherever_an_episode_is(
    drawn: list[str | int], seed: int, level: str, compat: Any
) -> None:
    env = WebShopEnv(level=level, compat=compat)
    _, _, _, terminated, _, info = play(env, drawn, seed=seed)[-1]
    if not terminated:
        assert follow(env, info, random.Random(seed)) == 1.0


@needs_recordings
@pytest.mark.parametrize("compat", [None, "upstream"])
def test_right_actions_lead_to_full_reward_on_the_original_s_products(compat: Any) -> None:
    env, choices, labelled = WebShopEnv(data=DATA, compat=compat), random.Random(0), 0
    for task in range(0, env.num_tasks, 200):
        listed = play(env, [choices.randrange(30) for _ in range(choices.randrange(6))], options={"task": task})[-1]
        if not listed[3] and oracle_of(env).is_right(State(), queries(env)[2]):
            assert follow(env, listed[5], choices) == 1.0
            labelled += 1
    assert labelled > 10


def episode(env: WebShopEnv, drawn: list[str | int], task: int) -> Trajectory:
    """Returns an episode of drawn actions, which buys at last what it is at."""
    actions = iter([action for action, *_ in play(env, drawn, options={"task": task})[1:]])
    policy = FunctionPolicy(lambda messages: next(actions, "click[buy now]"))
    return rollout([env], policy, [Task(task, 0)], max_turns=len(drawn) + 1)[0]


@given(moves, st.integers(0, 50), LEVELS, st.sampled_from([None, "upstream"]))
def test_labels_of_played_turns_agree_with_what_the_shop_answered(
    drawn: list[str | int], task: int, level: str, compat: Any
) -> None:
    played = episode(WebShopEnv(level=level, compat=compat), drawn, task)
    fresh = WebShopEnv(level=level, compat=compat, split="test")
    for index, turn in enumerate(played.turns):
        label = fresh.is_right(played, index, turn.action.text)
        if not turn.info["action_valid"]:
            assert label is False
        if "success" in turn.info:
            assert label is (turn.reward == 1.0)


@settings(max_examples=50)
@given(st.data(), st.integers(0, 2**31), LEVELS)
def test_the_right_clicks_on_an_item_are_those_that_all_combinations_of_options_show(
    data: st.DataObject, seed: int, level: str
) -> None:
    env = WebShopEnv(level=level)
    env.reset(seed=seed)
    query = env._goal.product.title.lower()
    hits = env._shop.inventory.index.search(query)
    asin = data.draw(st.sampled_from([env._goal.product.asin, *hits[:20]]))
    groups = env._shop.inventory.products[asin].options
    chosen = {group: data.draw(st.sampled_from(values)) for group, values in groups.items() if data.draw(st.booleans())}
    state, oracle = State(Page.ITEM, query, 1, asin, frozenset(), chosen), oracle_of(env)
    left = clicks(env, asin, chosen)
    assert oracle.is_right(state, "click[buy now]") is (left == 0)
    for group, values in groups.items():
        for value in values:
            after = clicks(env, asin, chosen | {group: value})
            expected = left is not None and after is not None and after < left
            assert oracle.is_right(state, f"click[{value}]") is expected
    for detail in ("description", "features", "reviews"):
        assert oracle.is_right(state, f"click[{detail}]") is False
    assert oracle.is_right(state, "click[< prev]") is (left is None)


@settings(max_examples=50)
@given(st.integers(0, 2**31), LEVELS, st.integers(1, 7), st.sampled_from([0, 1, 2]))
def test_the_right_way_on_results_is_to_the_nearest_product_of_full_reward(
    seed: int, level: str, number: int, words: int
) -> None:
    env = WebShopEnv(level=level)
    env.reset(seed=seed)
    query = " ".join(env._goal.product.title.lower().split()[-words:])
    size = env._shop.inventory.page_size
    hits = env._shop.inventory.index.search(query)
    full = {at // size + 1 for at, asin in enumerate(hits) if clicks(env, asin, {}) is not None}
    state, oracle = State(Page.RESULTS, query, number), oracle_of(env)
    away = [abs(page - number) for page in full]
    for asin in hits[(number - 1) * size : number * size]:
        assert oracle.is_right(state, f"click[{asin.lower()}]") is (clicks(env, asin, {}) is not None)
    assert oracle.is_right(state, "click[back to search]") is (not full)
    assert oracle.is_right(State(), f"search[{query}]") is (1 in full)
    assert oracle.is_right(state, f"search[{query}]") is False
    for button, step in (("next >", 1), ("< prev", -1)):
        nearer = bool(full) and min(abs(page - number - step) for page in full) < min(away)
        assert oracle.is_right(state, f"click[{button}]") is (nearer and number + step > 0)


def test_the_way_back_from_an_item_depends_on_the_results() -> None:
    env = WebShopEnv(level="easy")
    env.reset(options={"task": 0})
    oracle, wanted = oracle_of(env), env._goal.product
    found = wanted.title.lower()
    other = next(asin for asin in env._shop.inventory.index.search(found) if clicks(env, asin, {}) is None)
    for page in (Page.ITEM, Page.FEATURES):
        near, far = (State(page, query, 1, other) for query in (found, "zzz"))
        assert [oracle.is_right(near, f"click[{name}]") for name in ("< prev", "back to search")] == [True, False]
        assert [oracle.is_right(far, f"click[{name}]") for name in ("< prev", "back to search")] == [True, True]
    assert oracle.is_right(State(Page.FEATURES, found, 1, wanted.asin), "click[< prev]") is True


@pytest.mark.parametrize("name", ["nowhere-1", "train-one", "train-999999999", "train", ""])
def test_an_environment_of_any_split_answers_and_an_unknown_task_is_named(name: str) -> None:
    (played,) = rollout([WebShopEnv(level="easy")], FunctionPolicy(lambda _: "x"), [Task(0, 0)], max_turns=1)
    other = WebShopEnv(level="easy", split="test")
    assert other.is_right(played, 0, "x") is False
    with pytest.raises(ConfigError, match=f"webshop has no task '{name}'; build the environment that it was played"):
        other.is_right(replace(played, task_id=name), 0, "x")


def test_a_goal_that_its_own_product_cannot_meet_is_left_open(tmp_path: Path) -> None:
    options = {"size": [{"value": "10"}], "color": [{"value": "red"}]}
    unmet = HUMAN | {"instruction_attributes": ["hard"], "instruction_options": []}
    files = FILES | {
        "items_shuffle_1000.json": [ITEM | {"customization_options": options}],
        "items_human_ins.json": {"B000000001": [unmet, HUMAN | {"instruction_options": ["red", "10"]}]},
    }
    env = WebShopEnv(data=write(tmp_path, files), goals="human", split="test")
    by_attribute = {env._goals[task].attributes[0]: task for task in range(env.num_tasks)}
    actions = ["search[shoe]", "click[b000000001]", "click[red]", "click[buy now]", "click[nothing]"]
    state = State(Page.ITEM, "shoe", 1, "B000000001", frozenset(), {"size": "10"})
    labels = {}
    for name, task in by_attribute.items():
        env.reset(options={"task": task})
        oracle = oracle_of(env)
        labels[name] = [oracle.is_right(at, action) for at, action in zip(
            [State(), State(Page.RESULTS, "shoe"), state, state, state], actions, strict=True)]  # fmt: skip
    assert labels == {"hard": [None, None, None, None, False], "soft": [True, True, True, False, False]}
