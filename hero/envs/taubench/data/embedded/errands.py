"""Draws the errands of customers of the embedded world: the words of a task, and the calls that carry it out."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hero.envs.taubench.action import Call
from hero.envs.taubench.data.embedded.records import Customer, draw_address
from hero.envs.taubench.database import Record


@dataclass(frozen=True)
class Errand:
    """Something that a customer wants done.

    Attributes:
        words: the customer's wish, addressed to the customer.
        calls: the calls that do it, once the customer is found.
        outputs: texts that the agent has to say.
    """

    words: str
    calls: tuple[Call, ...]
    outputs: tuple[str, ...] = ()


Draw = Callable[[random.Random, Customer, Record], Errand | None]
"""Draws an errand about an order; None where the order does not allow one of that kind."""


def draw_errands(rng: random.Random, customer: Customer, count: int) -> list[Errand]:
    """Draws errands of different kinds; fewer than `count` where the orders allow no more."""
    pool = [(draw, order) for order in customer.orders for draw in KINDS[order["status"]]]
    rng.shuffle(pool)
    drawn: dict[Draw, Errand] = {}
    for draw, order in pool:
        if len(drawn) < count and draw not in drawn and (errand := draw(rng, customer, order)):
            drawn[draw] = errand
    return list(drawn.values())


def _look_up(order: Record) -> Call:
    return Call("get_order_details", {"order_id": order["order_id"]})


def _spoken(method: Record) -> str:
    return str(method["source"]).replace("_", " ")


def _paid_by(customer: Customer, order: Record) -> Record:
    method: Record = customer.user["payment_methods"][order["payment_history"][0]["payment_method_id"]]
    return method


def _cancel(rng: random.Random, customer: Customer, order: Record) -> Errand:
    reason = rng.choice(["no longer needed", "ordered by mistake"])
    because = "it is no longer needed" if reason == "no longer needed" else "you ordered it by mistake"
    call = Call("cancel_pending_order", {"order_id": order["order_id"], "reason": reason})
    words = f"You want to cancel order {order['order_id']}. The reason is that {because}."
    return Errand(words, (_look_up(order), call))


def _move(rng: random.Random, customer: Customer, order: Record) -> Errand:
    address = draw_address(rng)
    spoken = "{address1}, {address2}, {city}, {state}, {country}, zip {zip}".format(**address)
    call = Call("modify_pending_order_address", {"order_id": order["order_id"]} | address)
    words = f"You want order {order['order_id']} sent to another address. The new address is {spoken}."
    return Errand(words, (_look_up(order), call))


def _pay(rng: random.Random, customer: Customer, order: Record) -> Errand | None:
    paid = order["payment_history"][0]
    method = next(
        method for key, method in customer.user["payment_methods"].items() if key != paid["payment_method_id"]
    )
    if method.get("balance", paid["amount"]) < paid["amount"]:
        return None
    call = Call("modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": method["id"]})
    words = f"You want to pay order {order['order_id']} in another way. Use your {_spoken(method)} for the payment."
    return Errand(words, (_look_up(order), call))


def _swap(tool: str, verb: str) -> Draw:
    def draw(rng: random.Random, customer: Customer, order: Record) -> Errand | None:
        item = rng.choice(order["items"])
        product = customer.products[item["product_id"]]
        others = [
            variant
            for variant in product["variants"].values()
            if variant["available"] and variant["item_id"] != item["item_id"]
        ]
        method = _paid_by(customer, order)
        if not others:
            return None
        new = rng.choice(others)
        if method.get("balance", 1000) < new["price"] - item["price"]:
            return None
        arguments = {
            "order_id": order["order_id"],
            "item_ids": [item["item_id"]],
            "new_item_ids": [new["item_id"]],
            "payment_method_id": method["id"],
        }
        options = " and ".join(f"{group} {value}" for group, value in new["options"].items())
        words = (
            f"You want to {verb} the {product['name'].lower()} of order {order['order_id']}. "
            f"The one that you want has {options}. Any difference in price goes to your {_spoken(method)}."
        )
        look_up_product = Call("get_product_details", {"product_id": product["product_id"]})
        return Errand(words, (_look_up(order), look_up_product, Call(tool, arguments)))

    return draw


def _return(rng: random.Random, customer: Customer, order: Record) -> Errand:
    item = rng.choice(order["items"])
    method = _paid_by(customer, order)
    arguments = {
        "order_id": order["order_id"],
        "item_ids": [item["item_id"]],
        "payment_method_id": method["id"],
    }
    words = (
        f"You want to return the {item['name'].lower()} of order {order['order_id']}. "
        f"The refund should go to your {_spoken(method)}."
    )
    return Errand(words, (_look_up(order), Call("return_delivered_order_items", arguments)))


def _ask(rng: random.Random, customer: Customer, order: Record) -> Errand:
    words = f"You want to know what you paid for order {order['order_id']} in total. You want the exact amount."
    return Errand(words, (_look_up(order),), (str(order["payment_history"][0]["amount"]),))


def _too_late(rng: random.Random, customer: Customer, order: Record) -> Errand:
    words = f"You want to cancel order {order['order_id']}. The reason is that it is no longer needed."
    return Errand(words, (_look_up(order),))


KINDS: Final[Mapping[str, tuple[Draw, ...]]] = {
    "pending": (_cancel, _move, _pay, _swap("modify_pending_order_items", "change")),
    "delivered": (_swap("exchange_delivered_order_items", "exchange"), _return, _ask),
    "processed": (_ask, _too_late),
}
"""Kinds of errands by the status of the order."""
