"""Faults of the original, each with `compat="upstream"`, which has it, and without, where it is mended."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gymnasium.error import ResetNeeded
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.actions import click, parse_action
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.page_parts import Node, NodeKind, Page, State
from hero.envs.webshop.pages import clickables, nodes, text, text_rich
from hero.envs.webshop.shop import Inventory, open_shop
from tests.envs.webshop.files import catalogue, write

COMPATS: list[Any] = [None, "upstream"]
VALUES = ["m", 'size 5"', "größe", "a\\b", "rot"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"), catalogue([("B000000001", "Find me shoes", VALUES)]))


@pytest.fixture(scope="module")
def inventory(data: Path) -> Inventory:
    return open_shop(level="", seed=0, data=data, instruction_kind="human", goal_seed=42).inventory


def open_env(data: Path, compat: Any, **kwargs: Any) -> WebShopEnv:
    return WebShopEnv(data=data, goals="synthetic", split="test", compat=compat, **kwargs)


def item_page(env: WebShopEnv) -> str:
    env.reset(seed=0)
    env.step("search[shoe]")
    return env.step("click[b000000001]")[0]


@pytest.mark.parametrize(
    ("action", "mended", "upstream"),
    [
        ("search[Red Shoe]", ("search", "red shoe"), ("search", "red shoe")),
        ("click[< Prev]", ("click", "< prev"), ("click", "< prev")),
        (" Search[ red ]\n", ("search", "red"), None),
        ("search[red]\nBecause it is red.", None, ("search", "red")),
        ("click[m] and then click[buy now]", ("click", "m] and then click[buy now"), None),
        ("click[m] I think", None, ("click", "m")),
        ("search[red\nshoe]", ("search", "red\nshoe"), None),
        ("click[ m]", ("click", "m"), ("click", " m")),
        ("I will click[m]", None, None),
        ("click[]", None, None),
    ],
)
def test_an_action_is_the_whole_text_and_case_and_blanks_around_it_do_not_count(
    action: str, mended: tuple[str, str] | None, upstream: tuple[str, str] | None
) -> None:
    assert parse_action(action) == mended
    assert parse_action(action, upstream=True) == upstream


@pytest.mark.parametrize("compat", COMPATS)
def test_search_needs_a_search_bar(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    page = item_page(env)
    observation, _, _, _, info = env.step("search[soft]")
    assert info["has_search_bar"] is False
    assert info["action_valid"] is (compat == "upstream")
    assert (observation == page) is (compat is None)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_selected_option_shows_in_text(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    page = item_page(env)
    for value in VALUES:
        assert (env.step(f"click[{value}]")[0] == page) is (compat == "upstream")


@pytest.mark.parametrize("value", VALUES)
def test_text_rich_marks_every_selected_option(inventory: Inventory, value: str) -> None:
    def marked(*, upstream: bool) -> list[str]:
        page = nodes(
            inventory, "", State(page=Page.ITEM, asin="B000000001", options={"size": value}), upstream=upstream
        )
        assert (f"[clicked button] {value} [clicked button_]" in text_rich(page)) == any(node.chosen for node in page)
        return [node.text for node in page if node.chosen]

    assert marked(upstream=False) == [value]
    assert marked(upstream=True) == ([value] if value in ("m", "rot") else [])


@given(
    st.dictionaries(st.just("size"), st.sampled_from(VALUES)),
    st.sampled_from(["shoe", '"m"', '"rot" shoe', 'größe "größe"']),
)
def test_nothing_but_the_selected_option_is_marked(options: dict[str, str], query: str) -> None:
    product_options = {"size": tuple(VALUES), "fit": tuple(VALUES)}
    state = State(page=Page.ITEM, asin="A", query=query, options=options)
    page = nodes(_inventory_with(product_options), "", state)
    assert [(node.group, node.text) for node in page if node.chosen] == list(options.items())
    assert text(page, show_chosen=True).count("(selected)") == len(options)


def _inventory_with(options: dict[str, tuple[str, ...]]) -> Inventory:
    shop = open_shop(level="easy", seed=0, data=None, instruction_kind="human", goal_seed=42)
    product = next(iter(shop.inventory.products.values()))
    return replace(shop.inventory, products={"A": replace(product, options=options)})


@pytest.mark.parametrize("observation", ["text", "text_rich"])
@pytest.mark.parametrize("compat", COMPATS)
def test_the_last_page_does_not_show_the_reward(data: Path, compat: Any, observation: Any) -> None:
    env = open_env(data, compat, observation=observation)
    item_page(env)
    page, reward, terminated, _, _ = env.step("click[buy now]")
    assert terminated
    assert (str(reward) in page) is (compat == "upstream")


@pytest.mark.parametrize("compat", COMPATS)
def test_a_goal_with_an_empty_value_can_be_reached(tmp_path: Path, compat: Any) -> None:
    env = open_env(write(tmp_path, catalogue([("B000000001", "Find me shoes", ["", "m"])])), compat)
    (task,) = (index for index, goal in enumerate(env._goals) if goal.options == ("",))
    for value in ("", "m"):
        env.reset(options={"task": task})
        env.step("search[shoe]")
        env.step("click[b000000001]")
        assert env.step(f"click[{value}]")[4]["action_valid"] is bool(value)
        assert env.step("click[buy now]")[4]["success"] is (compat is None)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_refused_action_is_answered_with_feedback(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    page = item_page(env)
    for action in ("buy", "click[xxl]", "click[search]"):
        observation, reward, _, _, info = env.step(action)
        assert (observation, reward, info["action_valid"]) == (page, 0.0, False)
        assert info["feedback"]


@pytest.mark.parametrize("compat", COMPATS)
def test_a_purchase_ends_the_episode(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    item_page(env)
    assert env.step("click[buy now]")[2]
    for action in ("search[shoe]", "click[buy now]"):
        with pytest.raises(ResetNeeded):
            env.step(action)


@pytest.mark.parametrize("compat", COMPATS)
def test_tasks_are_drawn_evenly_the_first_and_the_last_included(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    assert env.num_tasks == len(VALUES)
    env.reset(seed=0)
    drawn = Counter(env.reset()[1]["task_id"] for _ in range(1000))
    assert set(drawn) == {f"test-{index}" for index in range(len(VALUES))}
    # 200 each are expected; the standard deviation is 13.
    assert 140 < min(drawn.values()) <= max(drawn.values()) < 260


@pytest.mark.parametrize("compat", COMPATS)
def test_every_seed_that_is_given_fixes_prices_and_bounds(tmp_path: Path, compat: Any) -> None:
    drawn = []
    for name in ("a", "b"):  # two directories: nothing comes from the cache
        (tmp_path / name).mkdir()
        copy = write(tmp_path / name, catalogue([("B000000001", "Find me shoes", VALUES)]))
        envs = [open_env(copy, compat, goal_seed=seed) for seed in range(8)]
        drawn.append([(env._shop.prices, [goal.price_upper for goal in env._goals]) for env in envs])
    assert drawn[0] == drawn[1]
    assert len({prices["B000000001"] for prices, _ in drawn[0]}) == 8


@pytest.mark.parametrize("compat", COMPATS)
def test_nothing_of_an_episode_is_left_in_the_next(data: Path, compat: Any) -> None:
    env = open_env(data, compat)
    first = env.reset(options={"task": 0})
    item_page(env)
    env.step("click[m]")
    assert env.reset(options={"task": 0}) == first
    assert env._state == State()


def test_blanks_around_a_value_need_not_be_typed() -> None:
    page = [Node(NodeKind.OPTION, " | x", "size"), Node(NodeKind.OPTION, "10 | ", "size")]
    assert list(clickables(page)) == ["| x", "10 |"]
    assert list(clickables(page, upstream=True)) == [" | x", "10 | "]
    assert click(State(page=Page.ITEM), clickables(page)["10 |"]).options == {"size": "10 | "}
