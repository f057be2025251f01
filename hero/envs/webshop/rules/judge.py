"""What can be read off a finished WebShop episode: which actions its pages show to be right, and what else to do."""

from __future__ import annotations

from typing import Final

from hero.envs.webshop.rules.episode import Episode, argument
from hero.envs.webshop.rules.instruction import Wish
from hero.envs.webshop.rules.read import Page, read_page
from hero.types import Finding, Trajectory, Verdict

DETAILS: Final = ("description", "features", "reviews", "attributes")

Judgement = tuple[Verdict, str, str] | tuple[()]
"""Verdict, cause and advice; empty of an action that no rule is to judge, since the pages leave open what it is for."""


def judge(trajectory: Trajectory) -> dict[int, Finding | None]:
    """Findings about the turns of a WebShop episode whose pages tell whether the action was right; None where it is
    left open.
    """
    pages = tuple(map(read_page, trajectory.observations))
    first = next((page for page in pages if page), None)
    if first is None:
        return {}
    episode = Episode(trajectory, pages, Wish.read(first.instruction))
    judged = ((number, _judged(episode, number)) for number in range(len(trajectory.turns)))
    return {
        number: Finding(number, *judgement) if judgement else None
        for number, judgement in judged
        if judgement is not None
    }


def advise(episode: Episode, number: int) -> str:
    """An action that the page of a turn shows to be right there; "" if it shows none."""
    page = episode.pages[number]
    if page is None:
        return ""
    if page.kind == "search":
        return f"search[{' '.join(episode.content)}]" if episode.content else ""
    if page.kind == "results":
        if fitting := episode.fitting(page.items):
            return f"click[{fitting.code}]"
        return "click[back to search]" if episode.left_out(episode.query(number)) else "click[next >]"
    if page.kind == "details" or _shortcoming(episode, page):
        return "click[< prev]"
    if missing := episode.not_chosen(number):
        return f"click[{missing[0]}]"
    return "" if episode.lacking(page.items[0]) or episode.undecided(number, page) else "click[buy now]"


def _shortcoming(episode: Episode, page: Page) -> str:
    """Why the item of a page is not the one to buy, hindsight over all results included; "" if it may be."""
    item = page.items[0]
    if fault := episode.fault(item, page):
        return fault
    lacking = episode.lacking(item)
    return f"title lacks {lacking[0]}" if lacking and episode.fitting(episode.listed) else ""


def _judged(episode: Episode, number: int) -> Judgement | None:
    turn, page = episode.trajectory.turns[number], episode.pages[number]
    if page is None:
        return None
    if turn.info.get("action_valid") is False:
        return Verdict.INVALID, _first_clause(turn.feedback) or "not a valid action", advise(episode, number)
    query, value = argument("search", turn.action.text), argument("click", turn.action.text)
    if page.kind == "search" and query:
        return _search(episode, number, query)
    if page.kind == "results" and value:
        return _choice(episode, number, page, value)
    if page.kind == "item" and value:
        return _purchase(episode, number, page) if value == "buy now" else _click(episode, number, page, value)
    return None


def _search(episode: Episode, number: int, query: str) -> Judgement | None:
    if left_out := episode.left_out(query):
        return Verdict.FAILED, f"leaves out {', '.join(left_out)}", advise(episode, number)
    after = episode.pages[number + 1]
    found = after and after.kind == "results" and episode.fitting(after.items)
    return (Verdict.USEFUL, "", "") if found else None


def _choice(episode: Episode, number: int, page: Page, value: str) -> Judgement | None:
    """Judges a click on a results page."""
    fitting = episode.fitting(page.items)
    item = next((item for item in page.items if item.code.lower() == value), None)
    left_out = episode.left_out(episode.query(number))
    if item is None:
        if fitting:
            return Verdict.UNNECESSARY, "a match is on this page", f"click[{fitting.code}]"
        return (Verdict.USEFUL, "", "") if value == "back to search" and left_out else None
    if fault := episode.fault(item, episode.opened.get(value)):
        return Verdict.FAILED, fault, advise(episode, number)
    lacking = episode.lacking(item)
    if not lacking:
        return (Verdict.USEFUL, "", "") if episode.telling else None
    cause = f"title lacks {lacking[0]}"
    if better := fitting or episode.better(page.items, item):
        return Verdict.FAILED, cause, f"click[{better.code}]"
    if left_out and not episode.bought_without_option:
        return Verdict.FAILED, cause, "click[back to search]"
    return None


def _purchase(episode: Episode, number: int, page: Page) -> Judgement | None:
    if number == len(episode.trajectory.turns) - 1 and episode.trajectory.reward >= 1:
        return Verdict.USEFUL, "", ""
    if shortcoming := _shortcoming(episode, page):
        return Verdict.FAILED, shortcoming, "click[< prev]"
    if missing := episode.not_chosen(number):
        return Verdict.FAILED, f"{missing[0]} not chosen", f"click[{missing[0]}]"
    lacking = episode.lacking(page.items[0])
    if lacking and episode.left_out(episode.query(number)):
        return Verdict.FAILED, f"title lacks {lacking[0]}", "click[back to search]"
    if not episode.read_details(number):
        return Verdict.FAILED, "bought without a look at the details", "click[description]"
    return None


def _click(episode: Episode, number: int, page: Page, value: str) -> Judgement | None:
    """Judges a click on an item page, other than on Buy Now."""
    shortcoming = _shortcoming(episode, page)
    if value in ("< prev", "back to search"):
        if shortcoming:
            return Verdict.USEFUL, "", ""
        fits = episode.telling and not episode.lacking(page.items[0])
        return (Verdict.UNNECESSARY, "the item fits", advise(episode, number)) if fits else None
    if shortcoming:
        return Verdict.UNNECESSARY, shortcoming, "click[< prev]"
    if value in DETAILS:
        after = episode.pages[number + 1]
        return (Verdict.UNNECESSARY, "shows nothing", advise(episode, number)) if after and after.empty else None
    group = next((group for group in page.groups if value in map(str.lower, group)), None)
    return _option(episode, number, page, value, episode.wish.requested(group)) if group else None


def _option(episode: Episode, number: int, page: Page, value: str, requested: str) -> Judgement:
    """Judges the click on an option value, given the value that is asked for in its group, or ""."""
    if value in episode.chosen(number):
        return Verdict.UNNECESSARY, "chosen already", advise(episode, number)
    if value == requested.lower():
        return Verdict.USEFUL, "", ""
    if episode.may_ask_for(value, page):
        return ()
    if requested:
        undone = requested.lower() in episode.chosen(number)
        advice = advise(episode, number) if undone else f"click[{requested}]"
        return Verdict.FAILED, f"{requested} is asked for", advice
    return Verdict.UNNECESSARY, "not asked for", advise(episode, number)


def _first_clause(feedback: str) -> str:
    """What was wrong, without the list of buttons that follows it."""
    return feedback.partition(";")[0]
