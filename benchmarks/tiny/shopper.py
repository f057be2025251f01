"""Scripted shoppers for the embedded WebShop: what is right in a state, bad habits, and reviews of finished episodes.

Everything is read off the text that a policy sees, with the word lists of the catalogue's generator; nothing here
knows a goal record.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from hero.envs.webshop.catalogue.embedded import ATTRIBUTES, KINDS, OPTIONS
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

ALL_ATTRIBUTES = {pair.split("/")[0] for pairs in ATTRIBUTES.values() for pair in pairs.split()}
ALL_KINDS = [kind for kinds in KINDS.values() for kind in kinds.split(",")]
ALL_OPTIONS = {value for values in OPTIONS.values() for value in values.split()}
CHOSEN = " (selected)"
FITS = "fits"


@dataclass(frozen=True)
class Wish:
    """What an instruction asks for, in the order of its words."""

    attributes: tuple[str, ...]
    kind: str
    options: tuple[str, ...]
    budget: float

    @classmethod
    def read(cls, instruction: str) -> Wish:
        kind = next(kind for kind in ALL_KINDS if kind in instruction)
        words = re.findall(r"\w+", instruction.replace(kind, " "))
        price = re.search(r"price lower than ([\d.]+)", instruction)
        return cls(
            attributes=tuple(word for word in words if word in ALL_ATTRIBUTES),
            kind=kind,
            options=tuple(word for word in words if word in ALL_OPTIONS),
            budget=float(price[1]) if price else float("inf"),
        )

    def fault(self, title: str, price: str) -> str:
        """Why an item does not serve the wish, in words; "" if it does."""
        words = title.lower().split()
        if self.kind not in title.lower():
            return f"no {self.kind}"
        for attribute in self.attributes:
            if attribute not in words:
                return f"not {attribute}"
        return "" if self.affords(price) else "over budget"

    def affords(self, price: str) -> bool:
        return float(price.rpartition("$")[2]) <= self.budget

    def verdict(self, title: str, price: str) -> str:
        return self.fault(title, price) or FITS

    def by_word(self, title: str, price: str) -> str:
        """All that is asked of an item, each with whether it holds."""
        words = title.lower().split()
        holds = {attribute: attribute in words for attribute in self.attributes}
        holds |= {self.kind: self.kind in title.lower(), "price": self.affords(price)}
        return ", ".join(f"{asked} {'yes' if held else 'no'}" for asked, held in holds.items())


@dataclass(frozen=True)
class View:
    """What the last message of a conversation shows, and what the earlier ones are needed for."""

    messages: Sequence[Message]

    @cached_property
    def parts(self) -> list[str]:
        return self.text.split(" [SEP] ")

    @property
    def text(self) -> str:
        return self.messages[-1].content

    @property
    def instruction(self) -> str:
        return self.parts[self.parts.index("Instruction:") + 1]

    @cached_property
    def wish(self) -> Wish:
        return Wish.read(self.instruction)

    @property
    def page(self) -> str:
        if self.parts[0] == "WebShop":
            return "search"
        if "Buy Now" in self.parts:
            return "item"
        return "results" if any(part.startswith("Page ") for part in self.parts) else "sub"

    @cached_property
    def items(self) -> list[tuple[str, str, str]]:
        """Code, title and price of each result on the page."""
        start = self._first_item
        return [tuple(self.parts[at : at + 3]) for at in range(start, len(self.parts) - 2, 3)]  # type: ignore[misc]

    @property
    def _first_item(self) -> int:
        return next(place for place, part in enumerate(self.parts) if part.rstrip().endswith("Next >")) + 1

    def keeping(self, places: Collection[int]) -> View:
        """The same page of results with these of its items only, in their order."""
        kept = [part for place, item in enumerate(self.items) if place in places for part in item]
        return View((Message("user", " [SEP] ".join([*self.parts[: self._first_item], *kept])),))

    @property
    def fault(self) -> str:
        """Why the item of this page does not serve; "" if it does."""
        place = next(number for number, part in enumerate(self.parts) if part.startswith("Price: "))
        fault = self.wish.fault(self.parts[place - 1], self.parts[place])
        offered = {part.removesuffix(CHOSEN) for part in self.parts}
        missing = [option for option in self.wish.options if option not in offered]
        return fault or (f"no {missing[0]}" if missing else "")

    @property
    def open_options(self) -> list[str]:
        """Requested options that are not chosen yet."""
        return [option for option in self.wish.options if option + CHOSEN not in self.parts]

    @cached_property
    def rejected(self) -> set[str]:
        """Codes that were opened and left again: their pages showed a fault that the list does not."""
        opened = set()
        for message, after in zip(self.messages, self.messages[1:], strict=False):
            if message.role == "assistant" and message.content.startswith("click["):
                view = View([after])
                if view.page == "item" and view.fault:
                    opened.add(message.content[6:-1].lower())
        return opened

    @cached_property
    def query(self) -> str:
        asked = [message.content for message in self.messages if message.role == "assistant"]
        return next((action for action in reversed(asked) if action.startswith("search[")), "")

    def full(self, action: str) -> bool:
        """Whether a search names all that titles can show."""
        return set(self.wish.kind.split()) | set(self.wish.attributes) <= set(re.findall(r"\w+", action.lower()))

    def good(self) -> list[str]:
        """The actions that are right here, the best first."""
        if self.page == "search":
            return [f"search[{' '.join(self.wish.attributes)} {self.wish.kind}]"]
        if self.page == "results":
            fitting = [
                f"click[{code}]"
                for code, title, price in self.items
                if not self.wish.fault(title, price) and code.lower() not in self.rejected
            ]
            return fitting or ["click[next >]" if self.items and self.full(self.query) else "click[back to search]"]
        if self.page == "item" and not self.fault:
            return [f"click[{option}]" for option in self.open_options] or ["click[buy now]"]
        return ["click[< prev]"]

    def is_good(self, action: str) -> bool:
        if self.page == "search":
            return action.startswith("search[") and self.full(action)
        return action in self.good()

    def cause(self, action: str) -> str:
        """Why an action that is not good is not, in words that this page supports."""
        if self.page == "search":
            return "too few words"
        if self.page == "results":
            for code, title, price in self.items:
                if action == f"click[{code}]":
                    return self.wish.fault(title, price) or "seen before"
            return (
                "a match is shown" if self.good()[0] not in ("click[next >]", "click[back to search]") else "no match"
            )
        if self.page == "item" and action == "click[buy now]":
            return self.fault or f"{self.open_options[0]} not chosen"
        return (self.fault if self.page == "item" else "") or "not needed"


def expert(messages: Sequence[Message]) -> str:
    return View(messages).good()[0]


@dataclass(frozen=True)
class Sloppy:
    """A shopper with habits, each shown with its own probability; careful where a habit does not apply.

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
        view, chance = View(messages), self.rng.random()
        if view.page == "search" and chance < self.few_words:
            words = [*view.wish.attributes, *view.wish.kind.split()]
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
    """The expert, led astray now and then, so that every state and every mistake is seen."""

    rng: random.Random
    rate: float

    def __call__(self, messages: Sequence[Message]) -> str:
        view = View(messages)
        if self.rng.random() >= self.rate:
            return self.rng.choice(view.good())
        return self.rng.choice(self._astray(view))

    def _astray(self, view: View) -> list[str]:
        wish, rng = view.wish, self.rng
        if view.page == "search":
            words = [*wish.attributes, *wish.kind.split()]
            some = [word for word in words if rng.random() < 0.6] or words[-1:]
            return [f"search[{' '.join(some)}]"] * 5 + [f"search[{wish.kind}]", "click[buy now]"]
        if view.page == "results":
            codes = [f"click[{code}]" for code, _, _ in view.items]
            return codes * 2 + ["click[back to search]", "click[next >]", f"search[{wish.kind}]", "click[buy now]"]
        if view.page == "item":
            values = [part for part in view.parts if part in ALL_OPTIONS]
            return [
                *["click[buy now]"] * 5,
                *[f"click[{rng.choice(values)}]"] * 3,
                *(f"click[{word}]" for word in ("< prev", "description", "features", "back to search", "purple rain")),
            ]
        return ["click[back to search]", "click[buy now]"]


def review(trajectory: Trajectory) -> Diagnosis:
    """What a perfect reader of the episode would say of each of its turns."""
    findings = []
    for number, turn in enumerate(trajectory.turns):
        view, action = View(turn.prompt), turn.action.text
        advice = view.good()[0]
        if view.is_good(action):
            findings.append(Finding(number, Verdict.USEFUL))
        elif turn.info.get("action_valid") is False:
            findings.append(Finding(number, Verdict.INVALID, "no such button", advice))
        else:
            cause = view.cause(action)
            verdict = Verdict.UNNECESSARY if cause == "not needed" else Verdict.FAILED
            findings.append(Finding(number, verdict, cause, advice))
    return Diagnosis("review", tuple(findings))
