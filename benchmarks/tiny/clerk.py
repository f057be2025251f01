"""Scripted clerks for the embedded TauBench: what is right in a state, bad habits, and reviews of finished episodes.

Everything is read off the texts that a policy sees; nothing here knows a gold action.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.answers import ORDER_NOT_FOUND, error, error_reason, is_error
from hero.envs.taubench.rules.read import confirmation
from hero.envs.taubench.tools.domains import writes
from hero.envs.taubench.tools.shared import TRANSFER
from hero.types import Diagnosis, Finding, Message, Trajectory, Verdict

WHO: Final = "What is your email, or else your name and zip code?"
MORE: Final = "Please tell me all the details."
DONE: Final = "It is done."
YES: Final = "Yes, please go ahead."
NOT_FOUND: Final = error(ORDER_NOT_FOUND)
HAND_OVER: Final = Call(TRANSFER, {"summary": "The order was not found."}).text()

EMAIL: Final = re.compile(r"[Mm]y email is (\S+@\S+?)[,.](?:\s|$)")
ZIP: Final = re.compile(r"my zip code is (\d{5})")
NAME: Final = re.compile(r"[Mm]y name is (\w+) (\w+)")
WISHES: Final = {
    "cancel": re.compile(r"cancel order (#W\d+)"),
    "move": re.compile(r"order (#W\d+) sent to another address"),
    "pay": re.compile(r"pay order (#W\d+) in another way"),
    "change": re.compile(r"to change the (?P<product>\w+) of order (#W\d+)"),
    "exchange": re.compile(r"exchange the (?P<product>\w+) of order (#W\d+)"),
    "return": re.compile(r"return the (?P<product>\w+) of order (#W\d+)"),
    "ask": re.compile(r"paid for order (#W\d+)"),
}
"""How customers open, by what they want."""
TOOLS: Final = {
    "cancel": "cancel_pending_order",
    "move": "modify_pending_order_address",
    "pay": "modify_pending_order_payment",
    "change": "modify_pending_order_items",
    "exchange": "exchange_delivered_order_items",
    "return": "return_delivered_order_items",
}
ADDRESS: Final = re.compile(r"address is ([^,]+), ([^,]+), ([^,]+), (\w+), (\w+), zip (\d+)\.")
METHOD: Final = re.compile(r"\b(credit card|gift card|paypal)\b")


@dataclass(frozen=True)
class Desk:
    """What a conversation says so far: who the customer is, what is wanted, what was looked up and done."""

    messages: Sequence[Message]

    @cached_property
    def opening(self) -> str:
        return next(message.content for message in self.messages if message.role == "user")

    @cached_property
    def moves(self) -> list[tuple[str, str]]:
        """Actions and what each was answered with."""
        pairs = zip(self.messages, self.messages[1:], strict=False)
        return [(action.content, answer.content) for action, answer in pairs if action.role == "assistant"]

    @cached_property
    def looked_up(self) -> dict[str, str]:
        """Answers without an error, by tool; the first of each."""
        found: dict[str, str] = {}
        for action, answer in self.moves:
            call = parse_call(action)
            if call and not is_error(answer):
                found.setdefault(call.name, answer)
        return found

    @cached_property
    def said(self) -> str:
        """What the customer said."""
        return " ".join([self.opening, *(answer for action, answer in self.moves if not parse_call(action))])

    @cached_property
    def wish(self) -> str:
        return next(wish for wish, pattern in WISHES.items() if pattern.search(self.opening))

    @property
    def order_id(self) -> str:
        found = WISHES[self.wish].search(self.opening)
        assert found is not None
        return found[found.re.groups]

    @cached_property
    def order(self) -> dict[str, Any]:
        order: dict[str, Any] = json.loads(self.looked_up["get_order_details"])
        return order

    @property
    def item(self) -> dict[str, Any]:
        """The item of the order that the wish names."""
        product = WISHES[self.wish].search(self.opening)["product"]  # type: ignore[index]
        return next(item for item in self.order["items"] if item["name"].lower() == product)

    @property
    def look(self) -> Call:
        return Call("get_order_details", {"order_id": self.order_id})

    @property
    def late(self) -> bool:
        """Whether the order can no longer be changed as is wished."""
        return self.wish == "cancel" and self.order["status"] == "processed"

    def variants(self) -> list[dict[str, Any]]:
        """Other variants of the item, those that fit what was said first."""
        product = json.loads(self.looked_up["get_product_details"])
        others = [variant for key, variant in product["variants"].items() if key != self.item["item_id"]]
        said = self.said.lower()
        fits = [all(f"{group} {value}" in said for group, value in variant["options"].items()) for variant in others]
        return [variant for _, variant in sorted(zip(fits, others, strict=True), key=lambda pair: not pair[0])]

    def write(self, variant: int = 0) -> Call:
        """The call that does what is wished.

        Args:
            variant: place of the new item among the others; 0 is the one that was asked for.
        """
        arguments: dict[str, Any] = {"order_id": self.order_id}
        paid = self.order["payment_history"][0]["payment_method_id"]
        if self.wish == "cancel":
            because = "ordered by mistake" if "by mistake" in self.said else "no longer needed"
            arguments |= {"reason": because}
        elif self.wish == "move":
            keys = ("address1", "address2", "city", "state", "country", "zip")
            arguments |= dict(zip(keys, ADDRESS.search(self.said).groups(), strict=True))  # type: ignore[union-attr]
        elif self.wish == "pay":
            source = METHOD.search(self.said.lower())[0].replace(" ", "_")  # type: ignore[index]
            methods = json.loads(self.looked_up["get_user_details"])["payment_methods"]
            arguments |= {"payment_method_id": next(key for key in methods if key.startswith(source))}
        else:
            arguments |= {"item_ids": [self.item["item_id"]]}
            if self.wish != "return":
                others = self.variants()
                arguments |= {"new_item_ids": [others[min(variant, len(others) - 1)]["item_id"]]}
            arguments |= {"payment_method_id": paid}
        return Call(TOOLS[self.wish], arguments)

    @property
    def found_out(self) -> bool:
        """Whether all is known that a change needs."""
        asked = any(action == MORE for action, _ in self.moves)
        needed = {"pay": "get_user_details", "change": "get_product_details", "exchange": "get_product_details"}
        tools = {"get_order_details", needed.get(self.wish, "get_order_details")}
        return asked and tools <= self.looked_up.keys()

    def good(self) -> str:
        """The action that is right here."""
        known = self.looked_up
        user_id = known.get("find_user_id_by_email") or known.get("find_user_id_by_name_zip")
        if not user_id:
            return self._identify()
        if "get_order_details" not in known:
            return self.look.text()
        if not any(action == MORE for action, _ in self.moves):
            return MORE
        if self.wish == "ask":
            return f"The total was {self.order['payment_history'][0]['amount']}."
        if self.late:
            return f"I am sorry: order {self.order_id} is {self.order['status']} and cannot be cancelled."
        if not self.found_out:
            if self.wish == "pay":
                return Call("get_user_details", {"user_id": user_id}).text()
            return Call("get_product_details", {"product_id": self.item["product_id"]}).text()
        if TOOLS[self.wish] in known:
            return DONE
        write = self.write()
        return write.text() if (confirmation(write), YES) in self.moves else confirmation(write)

    def _identify(self) -> str:
        if email := EMAIL.search(self.said):
            return Call("find_user_id_by_email", {"email": email[1]}).text()
        name, zip_code = NAME.search(self.said), ZIP.search(self.said)
        if name and zip_code:
            return Call(
                "find_user_id_by_name_zip", {"first_name": name[1], "last_name": name[2], "zip": zip_code[1]}
            ).text()
        return WHO


def expert(messages: Sequence[Message]) -> str:
    return Desk(messages).good()


@dataclass(frozen=True)
class Hasty:
    """A clerk with habits, each shown with its own probability; careful where a habit does not apply.

    Attributes:
        bare: leaves the # of an order id out.
        gives_up: after an error, hands everybody over but those who want to cancel an order or to have it sent
            elsewhere; for them it tries again.
        no_question: changes orders without asking for a yes.
    """

    rng: random.Random
    bare: float
    gives_up: float
    no_question: float

    def __call__(self, messages: Sequence[Message]) -> str:
        desk = Desk(messages)
        good, chance = desk.good(), self.rng.random()
        if good == desk.look.text():
            if desk.moves and desk.moves[-1][1] == NOT_FOUND:
                hard = desk.wish not in ("cancel", "move")
                return HAND_OVER if hard and chance < self.gives_up else good
            return good.replace("#", "") if chance < self.bare else good
        if good.endswith("(yes/no)?") and chance < self.no_question:
            return desk.write().text()
        return good


@dataclass(frozen=True)
class Erratic:
    """The expert, led astray now and then, so that every state and every mistake is seen."""

    rng: random.Random
    rate: float

    def __call__(self, messages: Sequence[Message]) -> str:
        desk = Desk(messages)
        good = desk.good()
        return good if self.rng.random() >= self.rate else self.rng.choice(self._astray(desk, good))

    def _astray(self, desk: Desk, good: str) -> list[str]:
        known, found_out = desk.looked_up, "get_order_details" in desk.looked_up and desk.found_out
        astray = [WHO, MORE, HAND_OVER]
        if "get_order_details" not in known:
            astray += [desk.look.text().replace("#", "")] * 4
        if known:
            astray += [next(action for action, answer in reversed(desk.moves) if answer in known.values())] * 2
        if found_out and desk.wish in TOOLS and not desk.late:
            wrong = desk.write(self.rng.randint(1, 5)) if desk.wish in ("change", "exchange") else desk.write()
            astray += [desk.write().text(), confirmation(wrong), wrong.text(), DONE] * 2
        return astray


def review(trajectory: Trajectory) -> Diagnosis:
    """What a perfect reader of the episode would say of each of its turns."""
    findings = []
    for number, turn in enumerate(trajectory.turns):
        desk, action = Desk(turn.prompt), turn.action.text
        good = desk.good()
        if action == good:
            findings.append(Finding(number, Verdict.USEFUL))
        else:
            verdict, cause = _fault(desk, action, turn.observation)
            findings.append(Finding(number, verdict, cause, good))
    return Diagnosis("review", tuple(findings))


def _fault(desk: Desk, action: str, answer: str) -> tuple[Verdict, str]:
    """Why an action that is not right is not."""
    call = parse_call(action)
    if is_error(answer):
        return Verdict.FAILED, error_reason(answer)
    if action == HAND_OVER:
        return Verdict.FAILED, "a tool can do it"
    if any(action == earlier for earlier, _ in desk.moves):
        return Verdict.UNNECESSARY, "done before"
    if call and writes(call.name):
        wrong = desk.found_out and call != desk.write()
        return Verdict.FAILED, "not what was asked for" if wrong else "the user has not said yes to it"
    if action == DONE:
        return Verdict.FAILED, "nothing was changed"
    return Verdict.FAILED, "not what was asked for" if action.endswith("(yes/no)?") else "too early"
