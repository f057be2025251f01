"""Judges the actions of a finished WebShop episode by its pages, and advises what to do instead."""

from __future__ import annotations

from typing import Final

from hero.envs.webshop import page_parts
from hero.envs.webshop.rules.episode import ParsedEpisode, argument
from hero.envs.webshop.rules.instruction import ParsedInstruction
from hero.envs.webshop.rules.read import ParsedPage, parse_page
from hero.types import Finding, Trajectory, Verdict

BACK, PREVIOUS, NEXT, BUY = (
    node.text.lower() for node in (page_parts.BACK, page_parts.PREVIOUS, page_parts.NEXT, page_parts.BUY)
)
DETAILS: Final = (*(node.text.lower() for node in page_parts.SUB_PAGES), "attributes")
"""Buttons of the details of an item; the original can show `attributes`, too."""

Judgement = tuple[Verdict, str, str] | tuple[()]
"""Verdict, cause and advice; empty for an action that no rule may judge, since the pages leave its purpose open."""


def judge(trajectory: Trajectory) -> dict[int, Finding | None]:
    """Returns findings about the turns of a WebShop episode whose pages show whether the action was right.

    A turn whose purpose the pages leave open has the value None; a turn that no rule applies to is missing.
    """
    pages = tuple(map(parse_page, trajectory.observations))
    first = next((page for page in pages if page), None)
    if first is None:
        return {}
    episode = ParsedEpisode(trajectory, pages, ParsedInstruction.parse(first.instruction))
    judgements = ((turn, _judge_turn(episode, turn)) for turn in range(len(trajectory.turns)))
    return {
        turn: Finding(turn, *judgement) if judgement else None
        for turn, judgement in judgements
        if judgement is not None
    }


def advise(episode: ParsedEpisode, turn: int) -> str:
    """Returns an action that the page of a turn shows to be right there; "" if it shows none."""
    page = episode.pages[turn]
    if page is None:
        return ""
    if page.kind == "search":
        return f"search[{' '.join(episode.product_words)}]" if episode.product_words else ""
    if page.kind == "results":
        if match := episode.matching(page.items):
            return _click(match.code)
        return _click(BACK if episode.left_out(episode.last_query(turn)) else NEXT)
    if page.kind == "details" or _shortcoming(episode, page):
        return _click(PREVIOUS)
    if unchosen := episode.not_chosen(turn):
        return _click(unchosen[0])
    return "" if episode.missing(page.items[0]) or episode.undecided(turn, page) else _click(BUY)


def _click(value: str) -> str:
    return f"click[{value}]"


def _shortcoming(episode: ParsedEpisode, page: ParsedPage) -> str:
    """Returns the reason why the item of a page is not the one to buy, given all results; "" if it may be."""
    item = page.items[0]
    if fault := episode.fault(item, page):
        return fault
    missing = episode.missing(item)
    return f"title lacks {missing[0]}" if missing and episode.matching(episode.listed) else ""


def _judge_turn(episode: ParsedEpisode, turn: int) -> Judgement | None:
    played, page = episode.trajectory.turns[turn], episode.pages[turn]
    if page is None:
        return None
    if played.info.get("action_valid") is False:
        return Verdict.INVALID, _first_clause(played.feedback) or "not a valid action", advise(episode, turn)
    query, value = argument("search", played.action.text), argument("click", played.action.text)
    if page.kind == "search" and query:
        return _judge_search(episode, turn, query)
    if page.kind == "results" and value:
        return _judge_on_results(episode, turn, page, value)
    if page.kind == "item" and value == BUY:
        return _judge_purchase(episode, turn, page)
    if page.kind == "item" and value:
        return _judge_on_item(episode, turn, page, value)
    return None


def _judge_search(episode: ParsedEpisode, turn: int, query: str) -> Judgement | None:
    if left_out := episode.left_out(query):
        return Verdict.FAILED, f"leaves out {', '.join(left_out)}", advise(episode, turn)
    after = episode.pages[turn + 1]
    match = after and after.kind == "results" and episode.matching(after.items)
    return (Verdict.USEFUL, "", "") if match else None


def _judge_on_results(episode: ParsedEpisode, turn: int, page: ParsedPage, value: str) -> Judgement | None:
    """Judges a click on a results page."""
    match = episode.matching(page.items)
    item = next((item for item in page.items if item.code.lower() == value), None)
    left_out = episode.left_out(episode.last_query(turn))
    if item is None:
        if match:
            return Verdict.UNNECESSARY, "a match is on this page", _click(match.code)
        return (Verdict.USEFUL, "", "") if value == BACK and left_out else None
    if fault := episode.fault(item, episode.opened.get(value)):
        return Verdict.FAILED, fault, advise(episode, turn)
    missing = episode.missing(item)
    if not missing:
        return (Verdict.USEFUL, "", "") if episode.required else None
    cause = f"title lacks {missing[0]}"
    if better := match or episode.better(page.items, item):
        return Verdict.FAILED, cause, _click(better.code)
    if left_out and not episode.bought_without_option:
        return Verdict.FAILED, cause, _click(BACK)
    return None


def _judge_purchase(episode: ParsedEpisode, turn: int, page: ParsedPage) -> Judgement | None:
    if turn == len(episode.trajectory.turns) - 1 and episode.trajectory.reward >= 1:
        return Verdict.USEFUL, "", ""
    if shortcoming := _shortcoming(episode, page):
        return Verdict.FAILED, shortcoming, _click(PREVIOUS)
    if unchosen := episode.not_chosen(turn):
        return Verdict.FAILED, f"{unchosen[0]} not chosen", _click(unchosen[0])
    missing = episode.missing(page.items[0])
    if missing and episode.left_out(episode.last_query(turn)):
        return Verdict.FAILED, f"title lacks {missing[0]}", _click(BACK)
    if not episode.read_details(turn):
        return Verdict.FAILED, "bought without a look at the details", _click(DETAILS[0])
    return None


def _judge_on_item(episode: ParsedEpisode, turn: int, page: ParsedPage, value: str) -> Judgement | None:
    """Judges a click on an item page, other than on Buy Now."""
    shortcoming = _shortcoming(episode, page)
    if value in (PREVIOUS, BACK):
        if shortcoming:
            return Verdict.USEFUL, "", ""
        fits = episode.required and not episode.missing(page.items[0])
        return (Verdict.UNNECESSARY, "the item fits", advise(episode, turn)) if fits else None
    if shortcoming:
        return Verdict.UNNECESSARY, shortcoming, _click(PREVIOUS)
    if value in DETAILS:
        after = episode.pages[turn + 1]
        return (Verdict.UNNECESSARY, "shows nothing", advise(episode, turn)) if after and after.empty else None
    group = next((group for group in page.groups if value in map(str.lower, group)), None)
    return _judge_option(episode, turn, page, value, episode.instruction.requested(group)) if group else None


def _judge_option(episode: ParsedEpisode, turn: int, page: ParsedPage, value: str, requested: str) -> Judgement:
    """Judges the click on an option value, given the value that is asked for in its group, or ""."""
    if value in episode.chosen(turn):
        return Verdict.UNNECESSARY, "chosen already", advise(episode, turn)
    if value == requested.lower():
        return Verdict.USEFUL, "", ""
    if episode.may_ask_for(value, page):
        return ()
    if requested:
        undone = requested.lower() in episode.chosen(turn)
        return Verdict.FAILED, f"{requested} is asked for", advise(episode, turn) if undone else _click(requested)
    return Verdict.UNNECESSARY, "not asked for", advise(episode, turn)


def _first_clause(feedback: str) -> str:
    """Returns the fault that a feedback names, without the list of buttons that follows it."""
    return feedback.partition(";")[0]
