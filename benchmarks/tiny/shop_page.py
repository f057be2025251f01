"""Reads pages of the embedded WebShop: requirements of an instruction, items and options of a page, right actions.

Everything is read off the text that a policy sees, with the word lists of the catalogue's generator; no goal record is
used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from hero.envs.webshop.catalogue.embedded import ATTRIBUTES, KINDS, OPTIONS
from hero.envs.webshop.page_parts import SELECTED, SEPARATOR
from hero.types import Message

ALL_ATTRIBUTES = {pair.split("/")[0] for pairs in ATTRIBUTES.values() for pair in pairs.split()}
ALL_KINDS = [kind for kinds in KINDS.values() for kind in kinds.split(",")]
ALL_OPTIONS = {value for values in OPTIONS.values() for value in values.split()}
FITS = "fits"


@dataclass(frozen=True)
class Requirements:
    """Attributes, kind, options and budget that an instruction asks for, in the order of its words."""

    attributes: tuple[str, ...]
    kind: str
    options: tuple[str, ...]
    budget: float

    @classmethod
    def read(cls, instruction: str) -> Self:
        """Finds the words of the catalogue's lists in an instruction."""
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
        """Returns in words why an item does not meet the requirements; "" if it does."""
        words = title.lower().split()
        if self.kind not in title.lower():
            return f"no {self.kind}"
        for attribute in self.attributes:
            if attribute not in words:
                return f"not {attribute}"
        return "" if self.is_within_budget(price) else "over budget"

    def is_within_budget(self, price: str) -> bool:
        return float(price.rpartition("$")[2]) <= self.budget

    def verdict(self, title: str, price: str) -> str:
        return self.fault(title, price) or FITS

    def by_word(self, title: str, price: str) -> str:
        """Returns each requirement that a title and a price can show, with yes or no."""
        words = title.lower().split()
        met = {attribute: attribute in words for attribute in self.attributes}
        met |= {self.kind: self.kind in title.lower(), "price": self.is_within_budget(price)}
        return ", ".join(f"{requirement} {'yes' if holds else 'no'}" for requirement, holds in met.items())


@dataclass(frozen=True)
class PageView:
    """Reads the page in the last message of a conversation, and from earlier messages what has been tried."""

    messages: Sequence[Message]

    @cached_property
    def parts(self) -> list[str]:
        return self.text.split(SEPARATOR)

    @property
    def text(self) -> str:
        return self.messages[-1].content

    @property
    def instruction(self) -> str:
        return self.parts[self.parts.index("Instruction:") + 1]

    @cached_property
    def requirements(self) -> Requirements:
        return Requirements.read(self.instruction)

    @property
    def page(self) -> str:
        """The kind of page: search, results, item, or sub for a page of details."""
        if self.parts[0] == "WebShop":
            return "search"
        if "Buy Now" in self.parts:
            return "item"
        return "results" if any(part.startswith("Page ") for part in self.parts) else "sub"

    @cached_property
    def items(self) -> list[tuple[str, str, str]]:
        """Code, title and price of each result on the page."""
        starts = range(self._first_item, len(self.parts) - 2, 3)
        return [tuple(self.parts[start : start + 3]) for start in starts]  # type: ignore[misc]

    @property
    def _first_item(self) -> int:
        return next(index for index, part in enumerate(self.parts) if part.rstrip().endswith("Next >")) + 1

    def with_items(self, indices: Collection[int]) -> PageView:
        """Returns the same page of results with only these of its items, in their order."""
        kept = [part for index, item in enumerate(self.items) if index in indices for part in item]
        return PageView((Message("user", SEPARATOR.join([*self.parts[: self._first_item], *kept])),))

    @property
    def fault(self) -> str:
        """Reason why the item of this page does not meet the requirements; "" if it does."""
        price = next(index for index, part in enumerate(self.parts) if part.startswith("Price: "))
        fault = self.requirements.fault(self.parts[price - 1], self.parts[price])
        offered = {part.removesuffix(SELECTED) for part in self.parts}
        missing = [option for option in self.requirements.options if option not in offered]
        return fault or (f"no {missing[0]}" if missing else "")

    @property
    def open_options(self) -> list[str]:
        """Required options that are not chosen yet."""
        return [option for option in self.requirements.options if option + SELECTED not in self.parts]

    @cached_property
    def rejected(self) -> set[str]:
        """Codes of items that were opened and whose pages showed a fault; the list of results may hide it."""
        codes = set()
        for message, after in zip(self.messages, self.messages[1:], strict=False):
            if message.role == "assistant" and message.content.startswith("click["):
                view = PageView([after])
                if view.page == "item" and view.fault:
                    codes.add(message.content[6:-1].lower())
        return codes

    @cached_property
    def actions(self) -> list[str]:
        """The actions that were taken before, oldest first."""
        return [message.content for message in self.messages if message.role == "assistant"]

    @cached_property
    def newest_search(self) -> str:
        return next((action for action in reversed(self.actions) if action.startswith("search[")), "")

    def is_full_search(self, action: str) -> bool:
        """Returns whether a search names every requirement that titles can show."""
        words = set(re.findall(r"\w+", action.lower()))
        return words >= {*self.requirements.kind.split(), *self.requirements.attributes}

    def good(self) -> list[str]:
        """Returns the actions that are right here, the best first."""
        if self.page == "search":
            return [f"search[{' '.join(self.requirements.attributes)} {self.requirements.kind}]"]
        if self.page == "results":
            fitting = [
                f"click[{code}]"
                for code, title, price in self.items
                if not self.requirements.fault(title, price) and code.lower() not in self.rejected
            ]
            searched_enough = self.is_full_search(self.newest_search)
            return fitting or ["click[next >]" if self.items and searched_enough else "click[back to search]"]
        if self.page == "item" and not self.fault:
            return [f"click[{option}]" for option in self.open_options] or ["click[buy now]"]
        return ["click[< prev]"]

    def is_good(self, action: str) -> bool:
        if self.page == "search":
            return action.startswith("search[") and self.is_full_search(action)
        return action in self.good()

    def cause(self, action: str) -> str:
        """Returns why an action is not good, in words that this page supports."""
        if self.page == "search":
            return "too few words"
        if self.page == "results":
            for code, title, price in self.items:
                if action == f"click[{code}]":
                    return self.requirements.fault(title, price) or "seen before"
            return (
                "a match is shown" if self.good()[0] not in ("click[next >]", "click[back to search]") else "no match"
            )
        if self.page == "item" and action == "click[buy now]":
            return self.fault or f"{self.open_options[0]} not chosen"
        return (self.fault if self.page == "item" else "") or "not needed"
