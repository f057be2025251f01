"""The baselines read wanted options off a page, and reproduce the results of the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.webshop_baselines import ORIGINAL, first_hit, measure, play, result, wanted
from hero.envs.webshop.env import WebShopEnv
from hero.envs.webshop.page_parts import SEPARATOR, Page, State
from hero.envs.webshop.pages import nodes, text
from hero.envs.webshop.shop import open_shop
from hero.types import Message
from tests.envs.webshop.files import catalogue, write
from tests.envs.webshop.recorded import DATA, needs_recordings

ITEM_END = "Price: $5.0;Rating: N.A.;Description;Features;Reviews;Buy Now"


@pytest.mark.parametrize(
    ("instruction", "offered", "expected"),
    [
        ("shoes with size: 10, and price lower than 30.00 dollars", "size;1;10", ["10"]),
        ("shoes with size: 10", "size;10 (selected);1", ["10"]),
        ("shoes with color: red with dots, and size: 10", "color;red;red with dots;size;10", ["red with dots", "10"]),
        ("shoes with color: a, and b, and size: 1: 2", "color;a;a, and b;size;1;1: 2", ["a", "a, and b", "1: 2"]),
        ("shoes with size", "size;10", []),
        ("shoes", "", []),
    ],
)
def test_wanted_options_are_read_off_the_page(instruction: str, offered: str, expected: list[str]) -> None:
    page = [
        "Instruction:",
        instruction,
        "Back to Search",
        "< Prev",
        *offered.split(";"),
        "Red Shoe",
        *ITEM_END.split(";"),
    ]
    assert list(wanted([part for part in page if part])) == expected


def test_without_a_hit_there_is_nothing_to_click() -> None:
    page = SEPARATOR.join(["Instruction:", "x", "Back to Search", "Page 1 (Total results: 0)", "Next >"])
    assert first_hit([Message("user", page)], options=True) == "click[back to search]"


@pytest.mark.parametrize("compat", [None, "upstream"])
def test_the_second_clicks_each_option_once_and_buys(tmp_path: Path, compat: Any) -> None:
    data = write(tmp_path, catalogue([(f"B{index:09}", "Find me shoes", ["xl", "10"]) for index in range(300)]))
    env = WebShopEnv(data=data, split="validation", compat=compat)
    evaluation = play(env, "with options")
    assert result(evaluation) == (100.0, 100.0)
    assert {outcome.turns for outcome in evaluation.outcomes} == {4}
    assert {outcome.turns for outcome in play(env, "first hit").outcomes} == {3}


@needs_recordings
def test_of_every_product_the_wanted_options_of_its_goals_are_read() -> None:
    shop = open_shop(level="", seed=0, data=DATA, instruction_kind="synthetic", goal_seed=42)
    for goal in (goal for part in shop.goals.values() for goal in part[::7]):
        page = nodes(shop.inventory, goal.text, State(page=Page.ITEM, asin=goal.product.asin))
        assert set(wanted(text(page, show_chosen=True).split(SEPARATOR))) == set(goal.options)


@needs_recordings
@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_results_of_the_original_come_out(split: str) -> None:
    records = {record["baseline"]: record for record in measure(DATA, "goal", split)}
    for baseline, record in records.items():
        assert record["upstream"] == record["original"] == ORIGINAL[baseline, split]._asdict()
    assert records["first hit"]["mended"] == records["first hit"]["upstream"]
    assert records["with options"]["mended"]["success"] > records["with options"]["upstream"]["success"]
