"""Scripted shoppers for the embedded WebShop, and reviews of their episodes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tiny.shop_page import ALL_OPTIONS, PageView
from hero.envs.webshop.page_parts import SELECTED
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict


def expert(messages: Sequence[Message]) -> str:
    """Acts rightly on every page."""
    return PageView(messages).good()[0]


@dataclass(frozen=True)
class Sloppy:
    """Acts by habits, each with its own probability, and rightly where no habit applies.

    Attributes:
        few_words: leaves a word out of the search.
        first_result: opens the first result without reading titles and prices.
        no_options: buys without choosing the options.
        no_check: buys what it opened without checking title and price.
    """

    rng: random.Random
    few_words: float
    first_result: float
    no_options: float
    no_check: float

    def __call__(self, messages: Sequence[Message]) -> str:
        view, chance = PageView(messages), self.rng.random()
        if view.page == "search" and chance < self.few_words:
            words = [*view.requirements.attributes, *view.requirements.kind.split()]
            words.pop(self.rng.randrange(len(words) - 1))
            return f"search[{' '.join(words)}]"
        if view.page == "results" and view.items and chance < self.first_result:
            return f"click[{view.items[0][0]}]"
        if view.page == "item":
            if view.fault and chance >= self.no_check:
                return "click[< prev]"
            if view.open_options and self.rng.random() >= self.no_options:
                return next((f"click[{value}]" for value in view.open_options if value in view.parts), "click[buy now]")
            return "click[buy now]"
        return view.good()[0]


@dataclass(frozen=True)
class Erratic:
    """Acts like the expert, but errs at a given rate, so that every state and every mistake occurs."""

    rng: random.Random
    rate: float

    def __call__(self, messages: Sequence[Message]) -> str:
        view = PageView(messages)
        if self.rng.random() >= self.rate:
            return self.rng.choice(view.good())
        return self.rng.choice(self._mistakes(view))

    def _mistakes(self, view: PageView) -> list[str]:
        required, rng = view.requirements, self.rng
        if view.page == "search":
            words = [*required.attributes, *required.kind.split()]
            some = [word for word in words if rng.random() < 0.6] or words[-1:]
            return [f"search[{' '.join(some)}]"] * 5 + [f"search[{required.kind}]", "click[buy now]"]
        if view.page == "results":
            codes = [f"click[{code}]" for code, _, _ in view.items]
            return codes * 2 + ["click[back to search]", "click[next >]", f"search[{required.kind}]", "click[buy now]"]
        if view.page == "item":
            values = [part for part in view.parts if part in ALL_OPTIONS]
            return [
                *["click[buy now]"] * 5,
                *[f"click[{rng.choice(values)}]"] * 3,
                *(f"click[{word}]" for word in ("< prev", "description", "features", "back to search", "purple rain")),
            ]
        return ["click[back to search]", "click[buy now]"]


@dataclass(frozen=True)
class Wanderer:
    """Goes in circles at a given rate, and acts like another shopper otherwise.

    Policies in training come to act like this, so reviews of such episodes have to be right, too.
    """

    rng: random.Random
    rate: float
    otherwise: Erratic

    def __call__(self, messages: Sequence[Message]) -> str:
        if self.rng.random() >= self.rate:
            return self.otherwise(messages)
        return self.rng.choice(self._detours(PageView(messages)))

    def _detours(self, view: PageView) -> list[str]:
        if view.page == "search":
            return [view.newest_search or view.good()[0], view.good()[0]]
        back = ["click[back to search]"]
        if view.page == "results":
            opened = [f"click[{code}]" for code, _, _ in view.items if f"click[{code}]" in view.actions]
            return back * 3 + ["click[next >]", "click[< prev]", *opened[-1:] * 2]
        if view.page == "item":
            chosen = [f"click[{part.removesuffix(SELECTED)}]" for part in view.parts if part.endswith(SELECTED)]
            return [*back, "click[< prev]", "click[< prev]", "click[description]", "click[features]", *chosen]
        return [*back, "click[description]"]


def review(trajectory: Trajectory) -> Diagnosis:
    """Returns the diagnosis of a perfect reader, with a finding about every turn."""
    findings = []
    for index, turn in enumerate(trajectory.turns):
        view, action = PageView(turn.prompt), turn.action.text
        advice = view.good()[0]
        if view.is_good(action):
            findings.append(Finding(index, Verdict.USEFUL))
        elif turn.info.get("action_valid") is False:
            findings.append(Finding(index, Verdict.INVALID, "no such button", advice))
        else:
            cause = view.cause(action)
            verdict = Verdict.UNNECESSARY if cause == "not needed" else Verdict.FAILED
            findings.append(Finding(index, verdict, cause, advice))
    return Diagnosis("review", tuple(findings))
