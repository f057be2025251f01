"""Retail tools that change a whole order, or a user's address."""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.answers import ORDER_NOT_FOUND
from hero.envs.taubench.database import Database, Record
from hero.envs.taubench.tools.toolbox import RefusedError, Toolbox, payment_method, require_record

REASONS: Final = ("no longer needed", "ordered by mistake")

TOOLS: Final = Toolbox()


@TOOLS.writes
def cancel_pending_order(db: Database, /, order_id: str, reason: str) -> str:
    """Cancel an order and pay back, to a gift card at once."""
    order = require_order(db, order_id, "pending", "non-pending order cannot be cancelled")
    if reason not in REASONS:
        raise RefusedError("invalid reason")
    order = db.edit("orders", order_id)
    refunds = []
    for payment in order["payment_history"]:
        method_id = payment["payment_method_id"]
        refunds.append(transaction("refund", payment["amount"], method_id))
        if "gift_card" in method_id:
            add_to_balance(db, order, method_id, payment["amount"])
    order["status"] = "cancelled"
    order["cancel_reason"] = reason
    order["payment_history"].extend(refunds)
    return json.dumps(order)


@TOOLS.writes
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
    """Send an order to another address."""
    require_order(db, order_id, "pending", "non-pending order cannot be modified")
    order = db.edit("orders", order_id)
    order["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(order)


@TOOLS.writes
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
    """Change the address of a user."""
    require_record(db, "users", user_id, "user not found")
    user = db.edit("users", user_id)
    user["address"] = _address(address1, address2, city, state, country, zip)
    return json.dumps(user)


@TOOLS.writes
def modify_pending_order_payment(db: Database, /, order_id: str, payment_method_id: str) -> str:
    """Pay an order by another method of the user."""
    order = require_order(db, order_id, "pending", "non-pending order cannot be modified")
    method = payment_method(db, order, payment_method_id)
    history = order["payment_history"]
    if len(history) > 1 or history[0]["transaction_type"] != "payment":
        raise RefusedError("there should be exactly one payment for a pending order")
    if history[0]["payment_method_id"] == payment_method_id:
        raise RefusedError("the new payment method should be different from the current one")
    amount = history[0]["amount"]
    if method["source"] == "gift_card" and method["balance"] < amount:
        raise RefusedError("insufficient gift card balance to pay for the order")
    order = db.edit("orders", order_id)
    before = history[0]["payment_method_id"]
    order["payment_history"] += [
        transaction("payment", amount, payment_method_id),
        transaction("refund", amount, before),
    ]
    if method["source"] == "gift_card":
        add_to_balance(db, order, payment_method_id, -amount)
    if "gift_card" in before:
        add_to_balance(db, order, before, amount)
    return json.dumps(order)


def require_order(db: Database, order_id: str, status: str, refusal: str) -> Record:
    """Returns an order of that status, to be read.

    Raises:
        RefusedError: there is no such order, or it has another status, for which the refusal is given.
    """
    order = require_record(db, "orders", order_id, ORDER_NOT_FOUND)
    if order["status"] != status:
        raise RefusedError(refusal)
    return order


def transaction(kind: str, amount: float, method_id: str) -> Record:
    """Returns an entry of a payment history."""
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method_id}


def add_to_balance(db: Database, order: Record, method_id: str, amount: float) -> None:
    """Adds dollars, which may be negative, to a gift card of the user who ordered; the balance is rounded to cents."""
    gift_card: Record = db.edit("users", order["user_id"])["payment_methods"][method_id]
    gift_card["balance"] = round(gift_card["balance"] + amount, 2)


def _address(address1: str, address2: str, city: str, state: str, country: str, zip: str) -> Record:
    return {"address1": address1, "address2": address2, "city": city, "state": state, "country": country, "zip": zip}
