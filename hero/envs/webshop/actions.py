"""The two actions: their grammar, and the state that each leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from hero.chat.thoughts import action_input, readings
from hero.envs.webshop.page_parts import BACK, BUY, NEXT, PREVIOUS, SEARCH, SUB_PAGES, Node, NodeKind, Page, State

ACTION: Final = re.compile(r"(search|click)\[(.+)\]", re.IGNORECASE | re.DOTALL)
PLAIN: Final = re.compile(r"(search|click)\[([^][<◁\n]+)\]", re.IGNORECASE)
"""An action that cannot contain a thought or a wrapping, as most; matched first, since every step parses an action."""


class Command(NamedTuple):
    """A valid action; `argument` is in lower case."""

    verb: Literal["search", "click"]
    argument: str


def parse_action(action: str, *, upstream: bool = False) -> Command | None:
    """Parses `search[words]` or `click[value]`, in any form of `hero.chat.thoughts`; returns None for anything else.

    White space around the action and around its argument does not count, nor does case. The original takes the action
    up to the last bracket of its first line, with the verb in lower case and all white space of the argument, and
    recognises no thoughts.
    """
    if upstream:
        return _command(*_upstream_parts(action))
    if match := PLAIN.fullmatch(action):
        return _command(match[1].lower(), match[2].lower().strip())
    for text in readings(action):
        if match := ACTION.fullmatch(text):
            return _command(match[1].lower(), match[2].lower().strip())
    named = action_input(action)
    return _command(named[0].lower(), named[1].lower()) if named else None


def _command(verb: str, argument: str) -> Command | None:
    if verb == "search" and argument:
        return Command("search", argument)
    if verb == "click" and argument:
        return Command("click", argument)
    return None


def _upstream_parts(action: str) -> tuple[str, str]:
    r"""Splits an action as the original's pattern (.+)\[(.+)\] does, in linear time; "" twice without a match."""
    line = action.partition("\n")[0]
    end = line.rfind("]")
    start = line.rfind("[", 1, max(end - 1, 1))
    return (line[:start], line[start + 1 : end].lower()) if start > 0 else ("", "")


@lru_cache(maxsize=65536)
def can_be_named(value: str, upstream: bool) -> bool:
    """Returns whether an action can name a button."""
    return parse_action(f"click[{value}]", upstream=upstream) == ("click", value)


def next_state(
    state: State, command: Command | None, clickables: Mapping[str, Node], *, upstream: bool = False
) -> State | None:
    """Returns the state that a command leads to; None where the page does not allow it.

    Args:
        command: None for a text that is not an action.
        clickables: nodes of the page that can be clicked, by the argument that names them.
    """
    if command is None:
        return None
    if command.verb == "search":
        return search(state, command.argument) if upstream or state.page is Page.SEARCH else None
    node = clickables.get(command.argument)
    return None if node is None or node == SEARCH else click(state, node)


def search(state: State, query: str) -> State:
    """Returns the state on the first page of results of a query."""
    return replace(state, page=Page.RESULTS, query=query, number=1, asin="", options={})


def click(state: State, node: Node) -> State:
    """Returns the state after a click on a node of the page; its page is `Page.DONE` after the purchase."""
    if node.kind is NodeKind.LINK:
        return replace(state, page=Page.ITEM, asin=node.text, visited=state.visited | {node.text})
    if node.kind is NodeKind.OPTION:
        return replace(state, options={**state.options, node.group: node.text})
    if node == BACK:
        return State()
    if node == BUY:
        return replace(state, page=Page.DONE)
    if node in SUB_PAGES:
        return replace(state, page=SUB_PAGES[node])
    if node in (PREVIOUS, NEXT) and state.page is Page.RESULTS:
        return replace(state, number=state.number + (1 if node == NEXT else -1), options={})
    if node == PREVIOUS and state.page is Page.ITEM:
        return replace(state, page=Page.RESULTS, options={})
    return replace(state, page=Page.ITEM)
