"""The tools of the retail domain: each takes the database and its arguments, and returns what the agent reads.

Checks and their order, texts, rounding and the order of keys are the original's, since all of them show or are hashed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from hero.envs.taubench.database import Database, Record
from hero.envs.taubench.tools.shared import SHARED, RefusedError, Tool, found, payment_methods

REASONS: Final = ("no longer needed", "ordered by mistake")


def find_user_id_by_email(db: Database, /, email: str) -> str:
    """The id of the user with that address, whatever the case."""
    wanted = email.lower()
    for key, user in db.items("users"):
        if user["email"].lower() == wanted:
            return key
    raise RefusedError("user not found")


def find_user_id_by_name_zip(db: Database, /, first_name: str, last_name: str, zip: str) -> str:
    """The id of the first user of that name, whatever the case, and zip code."""
    first = first_name.lower()
    for key, user in db.items("users"):
        name = user["name"]
        if (
            name["first_name"].lower() == first
            and name["last_name"].lower() == last_name.lower()
            and user["address"]["zip"] == zip
        ):
            return key
    raise RefusedError("user not found")


def get_order_details(db: Database, /, order_id: str) -> str:
    """The record of an order."""
    return json.dumps(found(db, "orders", order_id, "order not found"))


def get_product_details(db: Database, /, product_id: str) -> str:
    """The record of a product, with all its variants."""
    return json.dumps(found(db, "products", product_id, "product not found"))


def list_all_product_types(db: Database, /) -> str:
    """Product ids by name, sorted by name."""
    names = {product["name"]: product["product_id"] for _, product in db.items("products")}
    return json.dumps(dict(sorted(names.items())))


def cancel_pending_order(db: Database, /, order_id: str, reason: str) -> str:
    """Cancels an order and pays back; to a gift card at once."""
    order = _order(db, order_id, "pending", "non-pending order cannot be cancelled")
    if reason not in REASONS:
        raise RefusedError("invalid reason")
    order = db.edit("orders", order_id)
    refunds = []
    for payment in order["payment_history"]:
        method = payment["payment_method_id"]
        refunds.append(_entry("refund", payment["amount"], method))
        if "gift_card" in method:
            _add(_method(db, order, method), payment["amount"])
    order["status"] = "cancelled"
    order["cancel_reason"] = reason
    order["payment_history"].extend(refunds)
    return json.dumps(order)


def modify_pending_order_address(
    db: Database,
    /,
    order_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> str:
    """Sends an order elsewhere."""
    _order(db, order_id, "pending", "non-pending order cannot be modified")
    order = db.edit("orders", order_id)
    order["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(order)


def modify_user_address(
    db: Database,
    /,
    user_id: str,
    address1: str,
    address2: str,
    city: str,
    state: str,
    country: str,
    zip: str,
) -> str:
    """Changes where a user lives."""
    found(db, "users", user_id, "user not found")
    user = db.edit("users", user_id)
    user["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(user)


def modify_pending_order_payment(db: Database, /, order_id: str, payment_method_id: str) -> str:
    """Has an order paid by another method of the user."""
    order = _order(db, order_id, "pending", "non-pending order cannot be modified")
    methods = payment_methods(db, order)
    if payment_method_id not in methods:
        raise RefusedError("payment method not found")
    history = order["payment_history"]
    if len(history) > 1 or history[0]["transaction_type"] != "payment":
        raise RefusedError("there should be exactly one payment for a pending order")
    if history[0]["payment_method_id"] == payment_method_id:
        raise RefusedError("the new payment method should be different from the current one")
    amount = history[0]["amount"]
    method = methods[payment_method_id]
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise RefusedError("insufficient gift card balance to pay for the order")
    order = db.edit("orders", order_id)
    before = history[0]["payment_method_id"]
    order["payment_history"] += [_entry("payment", amount, payment_method_id), _entry("refund", amount, before)]
    if method["source"] == "gift_card":
        _add(_method(db, order, payment_method_id), -amount)
    if "gift_card" in before:
        _add(_method(db, order, before), amount)
    return json.dumps(order)


def modify_pending_order_items(
    db: Database, /, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Replaces items of an order by other variants of the same products; works once."""
    order = _order(db, order_id, "pending", "non-pending order cannot be modified")
    difference = _difference(db, order, item_ids, new_item_ids)
    methods = payment_methods(db, order)
    if payment_method_id not in methods:
        raise RefusedError("payment method not found")
    method = methods[payment_method_id]
    if method["source"] == "gift_card" and method["balance"] < difference:
        raise RefusedError("insufficient gift card balance to pay for the new item")
    order = db.edit("orders", order_id)
    # Not rounded, as in the original: the noise of the sum is part of the hash.
    kind = "payment" if difference > 0 else "refund"
    order["payment_history"].append(_entry(kind, abs(difference), payment_method_id))
    if method["source"] == "gift_card":
        _add(_method(db, order, payment_method_id), -difference)
    for old, new in zip(item_ids, new_item_ids, strict=False):
        item = _item(order, old)
        variant = _variants(db, item)[new]
        item["item_id"] = new
        item["price"] = variant["price"]
        item["options"] = variant["options"]
    order["status"] = "pending (item modified)"
    return json.dumps(order)


def exchange_delivered_order_items(
    db: Database, /, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Asks for other variants of delivered items; nothing is charged yet."""
    order = _order(db, order_id, "delivered", "non-delivered order cannot be exchanged")
    difference = round(_difference(db, order, item_ids, new_item_ids), 2)
    methods = payment_methods(db, order)
    if payment_method_id not in methods:
        raise RefusedError("payment method not found")
    method = methods[payment_method_id]
    if method["source"] == "gift_card" and method["balance"] < difference:
        raise RefusedError("insufficient gift card balance to pay for the price difference")
    order = db.edit("orders", order_id)
    order["status"] = "exchange requested"
    order["exchange_items"] = sorted(item_ids)
    order["exchange_new_items"] = sorted(new_item_ids)
    order["exchange_payment_method_id"] = payment_method_id
    order["exchange_price_difference"] = difference
    return json.dumps(order)


def return_delivered_order_items(db: Database, /, order_id: str, item_ids: list[str], payment_method_id: str) -> str:
    """Asks to send delivered items back, for a refund to the method of the order or a gift card."""
    order = _order(db, order_id, "delivered", "non-delivered order cannot be returned")
    if payment_method_id not in payment_methods(db, order):
        raise RefusedError("payment method not found")
    if "gift_card" not in payment_method_id and payment_method_id != order["payment_history"][0]["payment_method_id"]:
        raise RefusedError("payment method should be either the original payment method or a gift card")
    held = [item["item_id"] for item in order["items"]]
    if any(item_ids.count(item) > held.count(item) for item in item_ids):
        raise RefusedError("some item not found")
    order = db.edit("orders", order_id)
    order["status"] = "return requested"
    order["return_items"] = sorted(item_ids)
    order["return_payment_method_id"] = payment_method_id
    return json.dumps(order)


def _order(db: Database, order_id: str, status: str, refusal: str) -> Record:
    """An order of that status, to be read.

    Raises:
        RefusedError: there is no such order, or it has another status, for which the refusal is given.
    """
    order = found(db, "orders", order_id, "order not found")
    if order["status"] != status:
        raise RefusedError(refusal)
    return order


def _difference(db: Database, order: Record, old: list[str], new: list[str]) -> float:
    """What the new items cost more than the old ones, in dollars, not rounded.

    Raises:
        RefusedError: an item is not the order's, or a new one not to be had.
    """
    held = [item["item_id"] for item in order["items"]]
    for item_id in old:
        if old.count(item_id) > held.count(item_id):
            raise RefusedError(f"{item_id} not found")
    if len(old) != len(new):
        raise RefusedError("the number of items to be exchanged should match")
    total: float = 0
    for item_id, new_id in zip(old, new, strict=True):
        item = _item(order, item_id)
        variants = _variants(db, item)
        if not (new_id in variants and variants[new_id]["available"]):
            raise RefusedError(f"new item {new_id} not found or available")
        total += variants[new_id]["price"] - item["price"]
    return total


def _item(order: Record, item_id: str) -> Record:
    item: Record = next(item for item in order["items"] if item["item_id"] == item_id)
    return item


def _variants(db: Database, item: Record) -> dict[str, Any]:
    product = db.get("products", item["product_id"])
    if product is None:
        raise KeyError(item["product_id"])
    variants: dict[str, Any] = product["variants"]
    return variants


def _method(db: Database, order: Record, method_id: str) -> Record:
    """One of them, to be changed."""
    method: Record = db.edit("users", order["user_id"])["payment_methods"][method_id]
    return method


def _add(method: Record, amount: float) -> None:
    method["balance"] = round(method["balance"] + amount, 2)


def _entry(kind: str, amount: float, method_id: str) -> Record:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}


def _address(address1: str, address2: str, city: str, state: str, country: str, zip: str) -> Record:
    return {"address1": address1, "address2": address2, "city": city, "state": state, "country": country, "zip": zip}


WRITERS: Final = (
    cancel_pending_order,
    exchange_delivered_order_items,
    modify_pending_order_address,
    modify_pending_order_items,
    modify_pending_order_payment,
    modify_user_address,
    return_delivered_order_items,
)
READERS: Final = (
    find_user_id_by_email,
    find_user_id_by_name_zip,
    get_order_details,
    get_product_details,
    list_all_product_types,
)
TOOLS: Final[Mapping[str, Tool]] = dict(SHARED) | {tool.__name__: tool for tool in (*READERS, *WRITERS)}
