"""Airline tools on reservations and certificates; as in retail, answers and hashed records equal the original's."""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.database import Database, Record, copied
from hero.envs.taubench.tools.airline.flights import book_flight
from hero.envs.taubench.tools.toolbox import RefusedError, Toolbox, payment_method, require_record

NEW_RESERVATIONS: Final = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES: Final = ("certificate_3221322", "certificate_3221323", "certificate_3221324")
NOW: Final = "2024-05-15T15:00:00"
MAX_PAYMENTS: Final = 1 << 14
"""Maximum number of entries of a payment history. Every cancelling doubles it, also of what is cancelled already: an
agent that repeats itself would fill the memory, as it would the original's."""

TOOLS: Final = Toolbox()


@TOOLS.reads
def get_reservation_details(db: Database, /, reservation_id: str) -> str:
    """Get the record of a reservation."""
    # The original's words, which speak of a user.
    return json.dumps(require_record(db, "reservations", reservation_id, "user not found"))


@TOOLS.writes
def book_reservation(
    db: Database,
    /,
    user_id: str,
    origin: str,
    destination: str,
    flight_type: str,
    cabin: str,
    flights: list[Record],
    passengers: list[Record],
    payment_methods: list[Record],
    total_baggages: int,
    nonfree_baggages: int,
    insurance: str,
) -> str:
    """Book flights; seats are not taken, and the rest of a certificate is lost."""
    user = require_record(db, "users", user_id, "user not found")
    new_id = next((key for key in NEW_RESERVATIONS if db.get("reservations", key) is None), NEW_RESERVATIONS[-1])
    reservation: Record = {
        "reservation_id": new_id,
        "user_id": user_id,
        "origin": origin,
        "destination": destination,
        "flight_type": flight_type,
        "cabin": cabin,
        "flights": copied(flights),
        "passengers": copied(passengers),
        "payment_history": copied(payment_methods),
        "created_at": NOW,
        "total_baggages": total_baggages,
        "nonfree_baggages": nonfree_baggages,
        "insurance": insurance,
    }
    price = 0
    for flight in reservation["flights"]:
        book_flight(db, flight, cabin, passengers)
        price += flight["price"] * len(passengers)
    if insurance == "yes":
        price += 30 * len(passengers)
    price += 50 * nonfree_baggages
    _require_paid(user, payment_methods, price)
    user = db.edit("users", user_id)
    for payment in payment_methods:
        method = user["payment_methods"][payment["payment_id"]]
        if method["source"] == "gift_card":
            method["amount"] -= payment["amount"]
        elif method["source"] == "certificate":
            del user["payment_methods"][payment["payment_id"]]
    db.add("reservations", new_id, reservation)
    user["reservations"].append(new_id)
    return json.dumps(reservation)


@TOOLS.writes
def cancel_reservation(db: Database, /, reservation_id: str) -> str:
    """Cancel a whole reservation; the refunds are noted, and paid back to no method."""
    require_record(db, "reservations", reservation_id, "reservation not found")
    reservation = db.edit("reservations", reservation_id)
    history = reservation["payment_history"]
    if len(history) >= MAX_PAYMENTS:
        raise RefusedError("the payment history is too long")
    history += [{"payment_id": paid["payment_id"], "amount": -paid["amount"]} for paid in history]
    reservation["status"] = "cancelled"
    return json.dumps(reservation)


@TOOLS.writes
def update_reservation_baggages(
    db: Database, /, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str
) -> str:
    """Change the number of bags; 50 dollars for each that was not paid for yet."""
    reservation = require_record(db, "reservations", reservation_id, "reservation not found")
    price = 50 * max(0, nonfree_baggages - reservation["nonfree_baggages"])
    _require_payable(db, reservation, payment_id, price)
    reservation = db.edit("reservations", reservation_id)
    reservation["total_baggages"] = total_baggages
    reservation["nonfree_baggages"] = nonfree_baggages
    _pay(db, reservation, payment_id, price)
    return json.dumps(reservation)


@TOOLS.writes
def update_reservation_flights(
    db: Database, /, reservation_id: str, cabin: str, flights: list[Record], payment_id: str
) -> str:
    """Change the flights; those that are kept in the same cabin keep their price. The cabin field stays as it is."""
    reservation = require_record(db, "reservations", reservation_id, "reservation not found")
    passengers = reservation["passengers"]
    new: list[Record] = copied(flights)
    price = 0
    for flight in new:
        booked = (
            old
            for old in reservation["flights"]
            if old["flight_number"] == flight["flight_number"]
            and old["date"] == flight["date"]
            and cabin == reservation["cabin"]
        )
        if kept := next(booked, None):
            flight |= {key: kept[key] for key in ("price", "origin", "destination")}
        else:
            book_flight(db, flight, cabin, passengers)
        price += flight["price"] * len(passengers)
    price -= sum(flight["price"] for flight in reservation["flights"]) * len(passengers)
    _require_payable(db, reservation, payment_id, price)
    reservation = db.edit("reservations", reservation_id)
    reservation["flights"] = new
    _pay(db, reservation, payment_id, price)
    return json.dumps(reservation)


@TOOLS.writes
def update_reservation_passengers(db: Database, /, reservation_id: str, passengers: list[Record]) -> str:
    """Change the passengers, but not their number."""
    reservation = require_record(db, "reservations", reservation_id, "reservation not found")
    if len(passengers) != len(reservation["passengers"]):
        raise RefusedError("number of passengers does not match")
    reservation = db.edit("reservations", reservation_id)
    reservation["passengers"] = copied(passengers)
    return json.dumps(reservation)


@TOOLS.writes
def send_certificate(db: Database, /, user_id: str, amount: float) -> str:
    """Give a user a certificate; `None`, as in the original, once there are three of them."""
    user = require_record(db, "users", user_id, "user not found")
    new_id = next((key for key in NEW_CERTIFICATES if key not in user["payment_methods"]), None)
    if new_id is None:
        return "None"
    methods = db.edit("users", user_id)["payment_methods"]
    methods[new_id] = {"source": "certificate", "amount": amount, "id": new_id}
    return f"Certificate {new_id} added to user {user_id} with amount {amount}."


def _require_paid(user: Record, payments: list[Record], price: float) -> None:
    """Refuses payments that do not pay for a booking.

    Raises:
        RefusedError: a method is not the user's or has too little on it, or the sum is not the price.
    """
    for payment in payments:
        method_id, amount = payment["payment_id"], payment["amount"]
        if method_id not in user["payment_methods"]:
            raise RefusedError(f"payment method {method_id} not found")
        method = user["payment_methods"][method_id]
        if method["source"] in ("gift_card", "certificate") and method["amount"] < amount:
            raise RefusedError(f"not enough balance in payment method {method_id}")
    paid = sum(payment["amount"] for payment in payments)
    if paid != price:
        raise RefusedError(f"payment amount does not add up, total price is {price}, but paid {paid}")


def _require_payable(db: Database, reservation: Record, payment_id: str, price: float) -> None:
    """Refuses a payment method that cannot pay for a change.

    Raises:
        RefusedError: the method is not the user's, is a certificate, or has too little on it.
    """
    method = payment_method(db, reservation, payment_id)
    if method["source"] == "certificate":
        raise RefusedError("certificate cannot be used to update reservation")
    if method["source"] == "gift_card" and method["amount"] < price:
        raise RefusedError("gift card balance is not enough")


def _pay(db: Database, reservation: Record, payment_id: str, price: float) -> None:
    """Books the price of a change, which may be negative, to a reservation that may be changed."""
    if payment_method(db, reservation, payment_id)["source"] == "gift_card":
        db.edit("users", reservation["user_id"])["payment_methods"][payment_id]["amount"] -= price
    if price != 0:
        reservation["payment_history"].append({"payment_id": payment_id, "amount": price})
