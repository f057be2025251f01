"""A conversation of the embedded TauBench as a clerk reads it: the customer, the wish, and the right action.

Everything is read off the texts that a policy sees, without the gold actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.answers import is_error
from hero.envs.taubench.rules.read import confirmation
from hero.types import Message

WHO: Final = "What is your email, or else your name and zip code?"
MORE: Final = "Please tell me all the details."
DONE: Final = "It is done."
YES: Final = "Yes, please go ahead."

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
"""Patterns of the first message of customers, by what they want."""
TOOLS: Final = {
    "cancel": "cancel_pending_order",
    "move": "modify_pending_order_address",
    "pay": "modify_pending_order_payment",
    "change": "modify_pending_order_items",
    "exchange": "exchange_delivered_order_items",
    "return": "return_delivered_order_items",
}
RECORDS: Final = {"pay": "get_user_details", "change": "get_product_details", "exchange": "get_product_details"}
"""Tools that look up what the customer may choose from. The clerk reads that first and asks for the choice after it: to
find in a record what was named before it is much harder for a small model than to find what is named afterwards."""
ADDRESS: Final = re.compile(r"address is ([^,]+), ([^,]+), ([^,]+), (\w+), (\w+), zip (\d+)\.")
METHOD: Final = re.compile(r"\b(credit card|gift card|paypal)\b")


@dataclass(frozen=True)
class Case:
    """A conversation so far: the customer, the wish, and the calls and answers."""

    messages: Sequence[Message]

    @cached_property
    def opening(self) -> str:
        return next(message.content for message in self.messages if message.role == "user")

    @cached_property
    def moves(self) -> list[tuple[str, str]]:
        """Actions, each with its answer."""
        pairs = zip(self.messages, self.messages[1:], strict=False)
        return [(action.content, answer.content) for action, answer in pairs if action.role == "assistant"]

    @cached_property
    def looked_up(self) -> dict[str, str]:
        """Answers without an error, by tool; the first of each."""
        answers: dict[str, str] = {}
        for action, answer in self.moves:
            call = parse_call(action)
            if call and not is_error(answer):
                answers.setdefault(call.name, answer)
        return answers

    @cached_property
    def words(self) -> str:
        """All words of the customer."""
        return " ".join([self.opening, *(answer for action, answer in self.moves if not parse_call(action))])

    @cached_property
    def wish(self) -> str:
        return next(wish for wish, pattern in WISHES.items() if pattern.search(self.opening))

    @property
    def order_id(self) -> str:
        match = WISHES[self.wish].search(self.opening)
        assert match is not None
        return match[match.re.groups]

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
        """Whether the order can no longer be changed as the customer wishes."""
        return self.wish == "cancel" and self.order["status"] == "processed"

    def variants(self) -> list[dict[str, Any]]:
        """Returns other variants of the item, first those that the customer described."""
        product = json.loads(self.looked_up["get_product_details"])
        others = [variant for key, variant in product["variants"].items() if key != self.item["item_id"]]
        words = self.words.lower()
        fits = [all(f"{group} {value}" in words for group, value in variant["options"].items()) for variant in others]
        return [variant for _, variant in sorted(zip(fits, others, strict=True), key=lambda pair: not pair[0])]

    def write(self, variant: int = 0) -> Call:
        """Returns the call that does what the customer wishes.

        Args:
            variant: Index of the new item among the others; 0 is the one that was asked for.
        """
        arguments: dict[str, Any] = {"order_id": self.order_id}
        paid = self.order["payment_history"][0]["payment_method_id"]
        if self.wish == "cancel":
            because = "ordered by mistake" if "by mistake" in self.words else "no longer needed"
            arguments |= {"reason": because}
        elif self.wish == "move":
            keys = ("address1", "address2", "city", "state", "country", "zip")
            arguments |= dict(zip(keys, ADDRESS.search(self.words).groups(), strict=True))  # type: ignore[union-attr]
        elif self.wish == "pay":
            source = METHOD.search(self.words.lower())[0].replace(" ", "_")  # type: ignore[index]
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
    def asked(self) -> bool:
        """Whether the customer was asked for the details."""
        return any(action == MORE for action, _ in self.moves)

    @property
    def complete(self) -> bool:
        """Whether everything that a change needs was looked up and asked for."""
        tools = {"get_order_details", RECORDS.get(self.wish, "get_order_details")}
        return self.asked and tools <= self.looked_up.keys()

    def good(self) -> str:
        """Returns the right action."""
        answers = self.looked_up
        user_id = answers.get("find_user_id_by_email") or answers.get("find_user_id_by_name_zip")
        if not user_id:
            return self._identify()
        if "get_order_details" not in answers:
            return self.look.text()
        if RECORDS.get(self.wish, "get_order_details") not in answers:
            if self.wish == "pay":
                return Call("get_user_details", {"user_id": user_id}).text()
            return Call("get_product_details", {"product_id": self.item["product_id"]}).text()
        if not self.asked:
            return MORE
        if self.wish == "ask":
            return f"The total was {self.order['payment_history'][0]['amount']}."
        if self.late:
            return f"I am sorry: order {self.order_id} is {self.order['status']} and cannot be cancelled."
        if TOOLS[self.wish] in answers:
            return DONE
        write = self.write()
        return write.text() if (confirmation(write), YES) in self.moves else confirmation(write)

    def _identify(self) -> str:
        if email := EMAIL.search(self.words):
            return Call("find_user_id_by_email", {"email": email[1]}).text()
        name, zip_code = NAME.search(self.words), ZIP.search(self.words)
        if name and zip_code:
            return Call(
                "find_user_id_by_name_zip", {"first_name": name[1], "last_name": name[2], "zip": zip_code[1]}
            ).text()
        return WHO
