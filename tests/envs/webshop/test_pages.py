"""Pages and the effects of actions, node by node, quirks of the original included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.webshop.actions import click, search
from hero.envs.webshop.page_parts import BACK, NEXT, PREVIOUS, Node, NodeKind, Page, State
from hero.envs.webshop.pages import clickables, nodes, text, text_rich, upstream_receipt
from hero.envs.webshop.shop import Inventory, open_shop
from tests.envs.webshop.files import FILES, write

INSTRUCTION = "a shoe"
ITEM = State(page=Page.ITEM, query="red", asin="B000000001", visited=frozenset({"B000000001"}))


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    options = {"Size": [{"value": "x y"}, {"value": "m/l"}], "Color": [{"value": "Red"}]}
    files = FILES | {
        "items_shuffle_1000.json": [FILES["items_shuffle_1000.json"][0] | {"customization_options": options}]
    }
    return open_shop(level="", seed=0, data=write(tmp_path, files), instruction_kind="human", goal_seed=42).inventory


def page(inventory: Inventory, state: State, **kwargs: Any) -> list[Node]:
    return nodes(inventory, INSTRUCTION, state, **kwargs)


def test_search_page(inventory: Inventory) -> None:
    assert text(page(inventory, State()), show_chosen=True) == "WebShop [SEP] Instruction: [SEP] a shoe [SEP] Search"
    assert text_rich(page(inventory, State())) == "WebShop\nInstruction: \na shoe\n[button] Search [button_]\n"
    assert list(clickables(page(inventory, State()))) == ["search"]


def test_results_page(inventory: Inventory) -> None:
    state = search(State(), "red")
    assert text(page(inventory, state), show_chosen=True) == (
        "Instruction: [SEP] a shoe [SEP] Back to Search [SEP] Page 1 (Total results: 1) [SEP] Next > "
        "[SEP] B000000001 [SEP] Red Shoe [SEP] $1234.5 to $2000.0"
    )
    assert text_rich(page(inventory, state)).endswith(
        "\n\n[button] B000000001 [button_]\nRed Shoe\n$1234.5 to $2000.0\n"
    )
    assert list(clickables(page(inventory, state))) == ["back to search", "next >", "b000000001"]
    second = click(state, NEXT)
    assert second.number == 2
    assert text(page(inventory, second), show_chosen=True).endswith(
        "Page 2 (Total results: 1) [SEP] < Prev [SEP] Next >"
    )
    assert click(second, PREVIOUS) == state
    assert search(second, "blue") == State(page=Page.RESULTS, query="blue")


def test_item_page(inventory: Inventory) -> None:
    chosen = click(ITEM, clickables(page(inventory, ITEM))["m | l"])
    assert chosen.options == {"size": "m | l"}
    plain = (
        "Instruction: [SEP] a shoe [SEP] Back to Search [SEP] < Prev [SEP] size [SEP] x y [SEP] m | l "
        "[SEP] color [SEP] red [SEP] Red Shoe [SEP] Price: $1234.5 to $2000.0 [SEP] Rating: N.A. "
        "[SEP] Description [SEP] Features [SEP] Reviews [SEP] Buy Now"
    )
    assert text(page(inventory, chosen), show_chosen=False) == plain
    assert text(page(inventory, chosen), show_chosen=True) == plain.replace("m | l", "m | l (selected)")
    rich = text_rich(page(inventory, click(chosen, Node(NodeKind.OPTION, "red", "color"))))
    assert rich.startswith("You have clicked red.\nYou have clicked m | l.\nInstruction:\na shoe\n")
    assert "\nsize\n  [button] x y [button_]\n  [clicked button] m | l [clicked button_]\ncolor\n" in rich
    assert list(clickables(page(inventory, ITEM))) == [
        *("back to search", "< prev", "description", "features", "reviews", "buy now"),
        *("x y", "m | l", "red"),
    ]


@pytest.mark.parametrize(
    ("name", "shown"), [("description", ["A shoe."]), ("features", [" soft ", " light"]), ("reviews", [])]
)
def test_sub_pages(inventory: Inventory, name: str, shown: list[str]) -> None:
    sub = click(ITEM, clickables(page(inventory, ITEM))[name])
    head = ["Instruction:", INSTRUCTION, "Back to Search", "< Prev"]
    assert [node.text for node in page(inventory, sub)] == head + shown
    assert click(sub, PREVIOUS) == ITEM


def test_upstream_marks_what_stands_in_quotes_in_the_address(inventory: Inventory) -> None:
    def marked(query: str, **options: str) -> list[str]:
        state = State(page=Page.ITEM, query=query, asin="B000000001", options=options)
        return [node.text for node in page(inventory, state, upstream=True) if node.chosen]

    assert marked("shoe") == []
    assert marked("shoe", size="x y") == ["x y"]
    assert marked('"red" shoe') == ["red"]  # not chosen at all
    assert marked('"x y"') == []  # the address joins words by +


def test_options_and_visits_are_forgotten_as_in_the_original(inventory: Inventory) -> None:
    chosen = click(ITEM, Node(NodeKind.OPTION, "red", "color"))
    assert click(chosen, BACK) == State()
    back = click(chosen, PREVIOUS)
    assert back == State(page=Page.RESULTS, query="red", asin="B000000001", visited=frozenset({"B000000001"}))
    assert "\n[clicked button] B000000001 [clicked button_]\n" in text_rich(page(inventory, back))
    assert search(chosen, "x").visited == chosen.visited
    assert click(back, Node(NodeKind.LINK, "OTHER")).visited == {"B000000001", "OTHER"}


def test_blank_nodes_shrink_or_vanish() -> None:
    blank = [Node(NodeKind.TEXT, words) for words in ("a", "", " \t", " \n ", "\xa0", " b\n c ")]
    assert text(blank, show_chosen=True) == "a [SEP]  [SEP]  [SEP] b\n c"
    assert text_rich(blank) == "a\n \n\xa0\n b\n c \n"


def test_of_two_with_the_same_text_the_first_gives_the_position_and_the_last_the_effect() -> None:
    first, link = Node(NodeKind.OPTION, "one", "a"), Node(NodeKind.LINK, "B1")
    last = Node(NodeKind.OPTION, "one", "b")
    listed = clickables([first, Node(NodeKind.OPTION, "two", "a"), last, link, Node(NodeKind.TEXT, "text")])
    assert list(listed.items()) == [("b1", link), ("one", last), ("two", Node(NodeKind.OPTION, "two", "a"))]


any_text = st.text(st.sampled_from("abz'\"<>&\\é/ ") | st.characters(exclude_categories=()), max_size=5)
chosen_options = st.dictionaries(any_text, any_text, max_size=4)


def written(options: dict[str, str]) -> str:
    """Returns the options as the last page of the original shows them."""
    page = [node.text for node in upstream_receipt(State(asin="B1", options=options), 0.5)]
    return page[page.index("options") + 1]


@given(chosen_options, st.randoms())
def test_the_receipt_names_options_by_group_whatever_the_order_of_clicks(options: dict[str, str], rng: Any) -> None:
    clicks = list(options.items())
    rng.shuffle(clicks)
    state = State()
    for group, value in clicks:
        state = click(state, Node(NodeKind.OPTION, value, group))
    assert written(dict(state.options)) == written(options)
    assert list(json.loads(written(options)).items()) == sorted(options.items())


def test_the_receipt_spells_out_what_a_page_of_the_web_must_not_hold() -> None:
    options = {"size": "5' x 7'", "color": '<b> & "é'}
    assert written(options) == (r'{"color": "\u003cb\u003e \u0026 \"\u00e9", "size": "5\u0027 x 7\u0027"}')


def test_nothing_else_depends_on_the_order_of_clicks(inventory: Inventory) -> None:
    clicks = [Node(NodeKind.OPTION, "red", "color"), Node(NodeKind.OPTION, "x y", "size")]
    one = click(click(ITEM, clicks[0]), clicks[1])
    other = click(click(ITEM, clicks[1]), clicks[0])
    assert one == other
    for upstream in (False, True):
        assert page(inventory, one, upstream=upstream) == page(inventory, other, upstream=upstream)
