"""Retail tools that change, exchange or return single items of an order."""

from __future__ import annotations

import json
from typing import Any, Final

from hero.envs.taubench.database import Database, Record
from hero.envs.taubench.tools.retail.orders import add_to_balance, require_order, transaction
from hero.envs.taubench.tools.toolbox import RefusedError, Toolbox, payment_method

TOOLS: Final = Toolbox()


@TOOLS.writes
def modify_pending_order_items(
    db: Database, /, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Replace items of an order by other variants of the same products; works once per order."""
    order = require_order(db, order_id, "pending", "non-pending order cannot be modified")
    difference = _price_difference(db, order, item_ids, new_item_ids)
    method = _require_method(
        db, order, payment_method_id, difference, "insufficient gift card balance to pay for the new item"
    )
    order = db.edit("orders", order_id)
    # Not rounded, as in the original: the noise of the sum is part of the hash.
    kind = "payment" if difference > 0 else "refund"
    order["payment_history"].append(transaction(kind, abs(difference), payment_method_id))
    if method["source"] == "gift_card":
        add_to_balance(db, order, payment_method_id, -difference)
    for old, new in zip(item_ids, new_item_ids, strict=False):
        item = _item(order, old)
        variant = _variants(db, item)[new]
        item["item_id"] = new
        item["price"] = variant["price"]
        item["options"] = variant["options"]
    order["status"] = "pending (item modified)"
    return json.dumps(order)


@TOOLS.writes
def exchange_delivered_order_items(
    db: Database, /, order_id: str, item_ids: list[str], new_item_ids: list[str], payment_method_id: str
) -> str:
    """Ask for other variants of delivered items; nothing is charged yet."""
    order = require_order(db, order_id, "delivered", "non-delivered order cannot be exchanged")
    difference = round(_price_difference(db, order, item_ids, new_item_ids), 2)
    _require_method(
        db, order, payment_method_id, difference, "insufficient gift card balance to pay for the price difference"
    )
    order = db.edit("orders", order_id)
    order["status"] = "exchange requested"
    order["exchange_items"] = sorted(item_ids)
    order["exchange_new_items"] = sorted(new_item_ids)
    order["exchange_payment_method_id"] = payment_method_id
    order["exchange_price_difference"] = difference
    return json.dumps(order)


@TOOLS.writes
def return_delivered_order_items(db: Database, /, order_id: str, item_ids: list[str], payment_method_id: str) -> str:
    """Ask to send delivered items back, for a refund to the payment method of the order or to a gift card."""
    order = require_order(db, order_id, "delivered", "non-delivered order cannot be returned")
    payment_method(db, order, payment_method_id)
    if "gift_card" not in payment_method_id and payment_method_id != order["payment_history"][0]["payment_method_id"]:
        raise RefusedError("payment method should be either the original payment method or a gift card")
    ordered = [item["item_id"] for item in order["items"]]
    if any(item_ids.count(item) > ordered.count(item) for item in item_ids):
        raise RefusedError("some item not found")
    order = db.edit("orders", order_id)
    order["status"] = "return requested"
    order["return_items"] = sorted(item_ids)
    order["return_payment_method_id"] = payment_method_id
    return json.dumps(order)


def _price_difference(db: Database, order: Record, old: list[str], new: list[str]) -> float:
    """Returns the price of the new items less that of the old ones, in dollars, not rounded.

    Raises:
        RefusedError: an item is not the order's, or a new one cannot be had.
    """
    ordered = [item["item_id"] for item in order["items"]]
    for item_id in old:
        if old.count(item_id) > ordered.count(item_id):
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


def _require_method(db: Database, order: Record, method_id: str, price: float, insufficient: str) -> Record:
    """Returns a payment method of the user, to be read.

    Raises:
        RefusedError: the user has no such method, or it is a gift card with too little on it.
    """
    method = payment_method(db, order, method_id)
    if method["source"] == "gift_card" and method["balance"] < price:
        raise RefusedError(insufficient)
    return method


def _item(order: Record, item_id: str) -> Record:
    item: Record = next(item for item in order["items"] if item["item_id"] == item_id)
    return item


def _variants(db: Database, item: Record) -> dict[str, Any]:
    product = db.get("products", item["product_id"])
    if product is None:
        raise KeyError(item["product_id"])
    variants: dict[str, Any] = product["variants"]
    return variants
