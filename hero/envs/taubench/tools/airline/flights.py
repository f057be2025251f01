"""Airline tools that search flights, and the booking of a single one.

As in retail, answers and hashed records equal the original's, faults included.
"""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.database import Database, Record
from hero.envs.taubench.tools.toolbox import RefusedError, Toolbox, require_record

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

TOOLS: Final = Toolbox()


@TOOLS.reads
def list_all_airports(db: Database, /) -> str:
    """List cities by airport code."""
    return json.dumps(AIRPORTS)


@TOOLS.reads
def search_direct_flight(db: Database, /, origin: str, destination: str, date: str) -> str:
    """Search the flights between two airports that can be booked for a day."""
    return json.dumps(
        [
            _shown_on(flight, date)
            for _, flight in db.items("flights")
            if flight["origin"] == origin and flight["destination"] == destination and _is_available(flight, date)
        ]
    )


@TOOLS.reads
def search_onestop_flight(db: Database, /, origin: str, destination: str, date: str) -> str:
    """Search pairs of flights with one stop that can be booked for a day; the second may leave on the next."""
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
            if _is_available(first, date) and _is_available(second, second_date):
                # The second shows prices and seats of the first one's day, as in the original.
                pairs.append([_shown_on(first, date) | {"date": date}, _shown_on(second, date) | {"date": second_date}])
    return json.dumps(pairs)


def book_flight(db: Database, flight: Record, cabin: str, passengers: list[Record]) -> None:
    """Writes price, origin and destination into a flight that is asked for.

    It reads each argument where the original does: which error a call with several faults gets depends on it.

    Raises:
        RefusedError: the flight cannot be booked.
    """
    number = flight["flight_number"]
    scheduled = require_record(db, "flights", number, f"flight {number} not found")
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


def _is_available(flight: Record, date: str) -> bool:
    return date in flight["dates"] and bool(flight["dates"][date]["status"] == "available")


def _shown_on(flight: Record, date: str) -> Record:
    """Returns a flight as a search shows it for a day."""
    shown: Record = {key: value for key, value in flight.items() if key != "dates"} | flight["dates"][date]
    return shown
