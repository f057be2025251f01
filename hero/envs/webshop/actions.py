"""What the two actions do, and how they are written."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from hero.chat.thoughts import action_input, readings
from hero.envs.webshop.pages import BACK, BUY, NEXT, PREVIOUS, SUB_PAGES, Kind, Node, Page, State

ACTION: Final = re.compile(r"(search|click)\[(.+)\]", re.IGNORECASE | re.DOTALL)
PLAIN: Final = re.compile(r"(search|click)\[([^][<◁\n]+)\]", re.IGNORECASE)
"""An action without room for a thought or a wrapping, as most are; matched first, as every step parses one."""


class Command(NamedTuple):
    """An action that could be read; `argument` is lower case."""

    verb: Literal["search", "click"]
    argument: str


def parse(action: str, *, upstream: bool = False) -> Command | None:
    """Reads `search[words]` or `click[value]`, in any form of `hero.chat.thoughts`; None for anything else.

    White space around the action and around its argument does not count, nor does case. The original takes the action
    up to the last bracket of its first line, with the verb in lower case and every blank of the argument, and knows no
    thoughts.
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
    r"""What the original's pattern (.+)\[(.+)\] makes of an action, in linear time; empty texts without a match."""
    line = action.partition("\n")[0]
    end = line.rfind("]")
    start = line.rfind("[", 1, max(end - 1, 1))
    return (line[:start], line[start + 1 : end].lower()) if start > 0 else ("", "")


def search(state: State, query: str) -> State:
    """The first page of results."""
    return replace(state, page=Page.RESULTS, query=query, number=1, asin="", options={})


def click(state: State, node: Node) -> State:
    """What follows a click on a node of the page; `Page.DONE` after the purchase."""
    if node.kind is Kind.LINK:
        return replace(state, page=Page.ITEM, asin=node.text, visited=state.visited | {node.text})
    if node.kind is Kind.OPTION:
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
