"""The tools of the airline domain; as in retail, all that shows or is hashed is the original's, faults included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from hero.envs.taubench.database import Database, Record, copied
from hero.envs.taubench.tools.shared import SHARED, RefusedError, Tool, found, payment_methods

AIRPORTS: Final = {
    "SFO": "San Francisco",
    "JFK": "New York",
    "LAX": "Los Angeles",
    "ORD": "Chicago",
    "DFW": "Dallas",
    "DEN": "Denver",
    "SEA": "Seattle",
    "ATL": "Atlanta",
    "MIA": "Miami",
    "BOS": "Boston",
    "PHX": "Phoenix",
    "IAH": "Houston",
    "LAS": "Las Vegas",
    "MCO": "Orlando",
    "EWR": "Newark",
    "CLT": "Charlotte",
    "MSP": "Minneapolis",
    "DTW": "Detroit",
    "PHL": "Philadelphia",
    "LGA": "LaGuardia",
}
NEW_RESERVATIONS: Final = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES: Final = ("certificate_3221322", "certificate_3221323", "certificate_3221324")
NOW: Final = "2024-05-15T15:00:00"
LONGEST: Final = 1 << 14
"""Entries of a payment history. Every cancelling doubles it, also of what is cancelled already: an agent that repeats
itself would fill the memory, as it would the original's."""


def get_reservation_details(db: Database, /, reservation_id: str) -> str:
    """The record of a reservation."""
    # The original's words, which speak of a user.
    return json.dumps(found(db, "reservations", reservation_id, "user not found"))


def list_all_airports(db: Database, /) -> str:
    """Cities by airport code."""
    return json.dumps(AIRPORTS)


def search_direct_flight(db: Database, /, origin: str, destination: str, date: str) -> str:
    """The flights between two airports that can be booked for a day."""
    return json.dumps(
        [
            _on(flight, date)
            for _, flight in db.items("flights")
            if flight["origin"] == origin and flight["destination"] == destination and _available(flight, date)
        ]
    )


def search_onestop_flight(db: Database, /, origin: str, destination: str, date: str) -> str:
    """Pairs of flights with one stop that can be booked for a day; the second may leave on the next."""
    pairs = []
    for _, first in db.items("flights"):
        if first["origin"] != origin:
            continue
        for _, second in db.items("flights"):
            if second["destination"] != destination or second["origin"] != first["destination"]:
                continue
            overnight = "+1" in first["scheduled_arrival_time_est"]
            second_date = f"2024-05-{int(date[-2:]) + 1}" if overnight else date
            if first["scheduled_arrival_time_est"] > second["scheduled_departure_time_est"]:
                continue
            if _available(first, date) and _available(second, second_date):
                # The second shows prices and seats of the first one's day, as in the original.
                pairs.append([_on(first, date) | {"date": date}, _on(second, date) | {"date": second_date}])
    return json.dumps(pairs)


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
    """Books flights; seats are not taken, and what is left of a certificate is lost."""
    user = found(db, "users", user_id, "user not found")
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
        _fly(db, flight, cabin, passengers)
        price += flight["price"] * len(passengers)
    if insurance == "yes":
        price += 30 * len(passengers)
    price += 50 * nonfree_baggages
    for payment in payment_methods:
        method_id, amount = payment["payment_id"], payment["amount"]
        if method_id not in user["payment_methods"]:
            raise RefusedError(f"payment method {method_id} not found")
        method = user["payment_methods"][method_id]
        if method["source"] in ("gift_card", "certificate") and method["amount"] < amount:
            raise RefusedError(f"not enough balance in payment method {method_id}")
    paid = sum(payment["amount"] for payment in payment_methods)
    if paid != price:
        raise RefusedError(f"payment amount does not add up, total price is {price}, but paid {paid}")
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


def cancel_reservation(db: Database, /, reservation_id: str) -> str:
    """Cancels a whole reservation; the refunds are noted, and paid back to no method."""
    found(db, "reservations", reservation_id, "reservation not found")
    reservation = db.edit("reservations", reservation_id)
    history = reservation["payment_history"]
    if len(history) >= LONGEST:
        raise RefusedError("the payment history is too long")
    history += [{"payment_id": paid["payment_id"], "amount": -paid["amount"]} for paid in history]
    reservation["status"] = "cancelled"
    return json.dumps(reservation)


def update_reservation_baggages(
    db: Database, /, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str
) -> str:
    """Changes the number of bags; 50 dollars for each that was not paid for yet."""
    reservation = found(db, "reservations", reservation_id, "reservation not found")
    price = 50 * max(0, nonfree_baggages - reservation["nonfree_baggages"])
    _check_payment(db, reservation, payment_id, price)
    reservation = db.edit("reservations", reservation_id)
    reservation["total_baggages"] = total_baggages
    reservation["nonfree_baggages"] = nonfree_baggages
    _pay(db, reservation, payment_id, price)
    return json.dumps(reservation)


def update_reservation_flights(
    db: Database, /, reservation_id: str, cabin: str, flights: list[Record], payment_id: str
) -> str:
    """Changes the flights; those that are kept in the same cabin keep their price. The cabin field stays as it is."""
    reservation = found(db, "reservations", reservation_id, "reservation not found")
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
            _fly(db, flight, cabin, passengers)
        price += flight["price"] * len(passengers)
    price -= sum(flight["price"] for flight in reservation["flights"]) * len(passengers)
    _check_payment(db, reservation, payment_id, price)
    reservation = db.edit("reservations", reservation_id)
    reservation["flights"] = new
    _pay(db, reservation, payment_id, price)
    return json.dumps(reservation)


def update_reservation_passengers(db: Database, /, reservation_id: str, passengers: list[Record]) -> str:
    """Changes who flies, not how many."""
    reservation = found(db, "reservations", reservation_id, "reservation not found")
    if len(passengers) != len(reservation["passengers"]):
        raise RefusedError("number of passengers does not match")
    reservation = db.edit("reservations", reservation_id)
    reservation["passengers"] = copied(passengers)
    return json.dumps(reservation)


def send_certificate(db: Database, /, user_id: str, amount: float) -> str:
    """Gives a user a certificate; `None`, as in the original, once there are three of them."""
    user = found(db, "users", user_id, "user not found")
    new_id = next((key for key in NEW_CERTIFICATES if key not in user["payment_methods"]), None)
    if new_id is None:
        return "None"
    methods = db.edit("users", user_id)["payment_methods"]
    methods[new_id] = {"source": "certificate", "amount": amount, "id": new_id}
    return f"Certificate {new_id} added to user {user_id} with amount {amount}."


def _available(flight: Record, date: str) -> bool:
    return date in flight["dates"] and bool(flight["dates"][date]["status"] == "available")


def _on(flight: Record, date: str) -> Record:
    """A flight as a search shows it for a day."""
    shown: Record = {key: value for key, value in flight.items() if key != "dates"} | flight["dates"][date]
    return shown


def _fly(db: Database, flight: Record, cabin: str, passengers: list[Record]) -> None:
    """Writes price, origin and destination into a flight that is asked for.

    Reads each argument where the original does: which error a call with several faults gets depends on it.

    Raises:
        RefusedError: it cannot be booked.
    """
    number = flight["flight_number"]
    scheduled = found(db, "flights", number, f"flight {number} not found")
    date = flight["date"]
    if date not in scheduled["dates"]:
        raise RefusedError(f"flight {number} not found on date {date}")
    day = scheduled["dates"][date]
    if day["status"] != "available":
        raise RefusedError(f"flight {number} not available on date {date}")
    if day["available_seats"][cabin] < len(passengers):
        raise RefusedError(f"not enough seats on flight {number}")
    flight["price"] = day["prices"][cabin]
    flight["origin"] = scheduled["origin"]
    flight["destination"] = scheduled["destination"]


def _check_payment(db: Database, reservation: Record, payment_id: str, price: float) -> None:
    """Whether a method of the user pays for a change.

    Raises:
        RefusedError: it does not.
    """
    methods = payment_methods(db, reservation)
    if payment_id not in methods:
        raise RefusedError("payment method not found")
    method = methods[payment_id]
    if method["source"] == "certificate":
        raise RefusedError("certificate cannot be used to update reservation")
    if method["source"] == "gift_card" and method["amount"] < price:
        raise RefusedError("gift card balance is not enough")


def _pay(db: Database, reservation: Record, payment_id: str, price: float) -> None:
    """Books the price of a change, which may be below 0, to a reservation that may be changed."""
    if payment_methods(db, reservation)[payment_id]["source"] == "gift_card":
        db.edit("users", reservation["user_id"])["payment_methods"][payment_id]["amount"] -= price
    if price != 0:
        reservation["payment_history"].append({"payment_id": payment_id, "amount": price})


WRITERS: Final = (
    book_reservation,
    cancel_reservation,
    send_certificate,
    update_reservation_baggages,
    update_reservation_flights,
    update_reservation_passengers,
)
READERS: Final = (
    get_reservation_details,
    list_all_airports,
    search_direct_flight,
    search_onestop_flight,
)
TOOLS: Final[Mapping[str, Tool]] = dict(SHARED) | {tool.__name__: tool for tool in (*READERS, *WRITERS)}
