"""The airline's tools on two flights and one customer: the order of the checks, and what stays of a call that fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hero.envs.taubench.action import Call, parse_action
from hero.envs.taubench.data.reading import MAX_DIGITS
from hero.envs.taubench.database import Database, Snapshot
from hero.envs.taubench.world import World
from tests.envs.taubench.files import FLIGHT

DAY = {"status": "available", "available_seats": {"economy": 2}, "prices": {"economy": 100}}
DATES = {"2024-05-16": DAY, "2024-05-17": DAY | {"status": "landed"}}
USER = {
    "name": {"first_name": "Ann", "last_name": "Lee"},
    "payment_methods": {
        "card_1": {"source": "credit_card", "id": "card_1"},
        "gift_1": {"source": "gift_card", "id": "gift_1", "amount": 500},
    },
    "reservations": [],
}
TABLES: dict[str, Any] = {
    "flights": {flight: FLIGHT | {"flight_number": flight, "dates": DATES} for flight in ("F1", "F2")},
    "reservations": {"R1": {}, "R2": {}},
    "users": {"ann_lee_1": USER, "ann_lee_2": USER},
}
BOOKING = {
    "user_id": "ann_lee_1",
    "origin": "SFO",
    "destination": "JFK",
    "flight_type": "one_way",
    "cabin": "economy",
    "flights": [{"flight_number": "F1", "date": "2024-05-16"}],
    "passengers": [{"first_name": "Ann", "last_name": "Lee", "dob": "1990-01-01"}],
    "payment_methods": [{"payment_id": "gift_1", "amount": 100}],
    "total_baggages": 0,
    "nonfree_baggages": 0,
    "insurance": "no",
}
WORLD = World("airline", "v1", Snapshot(TABLES), schemas=(), policy="", tasks={})


def answered(db: Database, name: str, **arguments: Any) -> str:
    return WORLD.call(db, Call(name, arguments))


def test_a_booking_is_paid_and_kept_under_the_first_free_id() -> None:
    db = Database(WORLD.snapshot)
    for bookings, name in enumerate(("HATHAT", "HATHAU", "HATHAV", "HATHAV"), 1):
        assert json.loads(answered(db, "book_reservation", **BOOKING))["reservation_id"] == name
        assert json.loads(answered(db, "get_user_details", user_id="ann_lee_1"))["payment_methods"]["gift_1"] == {
            "source": "gift_card",
            "id": "gift_1",
            "amount": 500 - 100 * bookings,
        }


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"flights": [{"flight_number": "F3"}]}, "Error: flight F3 not found"),
        ({"flights": [{"flight_number": "F3", "date": "x"}], "passengers": 1}, "Error: flight F3 not found"),
        ({"flights": [{"flight_number": "F1"}]}, "Error: 'date'"),
        (
            {"flights": [{"flight_number": "F1", "date": "x"}], "passengers": None},
            "Error: flight F1 not found on date x",
        ),
        ({"passengers": 1}, "Error: object of type 'int' has no len()"),
        (
            {"flights": [{"flight_number": "F1", "date": "2024-05-17"}], "passengers": None},
            "Error: flight F1 not available on date 2024-05-17",
        ),
        ({"cabin": "first"}, "Error: 'first'"),
    ],
)
def test_a_fault_is_answered_before_what_comes_after_it_is_read(change: dict[str, Any], answer: str) -> None:
    db = Database(WORLD.snapshot)
    assert answered(db, "book_reservation", **(BOOKING | change)) == answer
    assert not db.changes()


def test_flights_that_are_changed_are_checked_in_the_same_order() -> None:
    db = Database(WORLD.snapshot)
    answered(db, "book_reservation", **BOOKING)
    change = {"reservation_id": "HATHAT", "cabin": "economy", "payment_id": "card_1"}
    answer = answered(db, "update_reservation_flights", flights=[{"flight_number": "F3"}], **change)
    assert answer == "Error: flight F3 not found"


@pytest.mark.parametrize(("history", "kind"), [({}, "dict"), ("", "str")])
def test_writes_before_a_fault_stay_as_in_the_original(history: Any, kind: str) -> None:
    db = Database(WORLD.snapshot)
    fault = f"Error: {kind!r} object has no attribute 'append'"
    # Such a history takes no entries, which shows only once the flights and the bags are written.
    answered(db, "book_reservation", **(BOOKING | {"flights": [], "payment_methods": history}))
    change = {"reservation_id": "HATHAT", "payment_id": "card_1"}
    new = [{"flight_number": "F2", "date": "2024-05-16"}]
    assert answered(db, "update_reservation_flights", cabin="economy", flights=new, **change) == fault
    bags = {"total_baggages": 2, "nonfree_baggages": 1}
    assert answered(db, "update_reservation_baggages", **bags, **change) == fault
    reservation = json.loads(answered(db, "get_reservation_details", reservation_id="HATHAT"))
    assert [flight["flight_number"] for flight in reservation["flights"]] == ["F2"]
    assert {key: reservation[key] for key in bags} == bags


def test_the_largest_numbers_that_a_call_may_have_can_be_hashed() -> None:
    db = Database(WORLD.snapshot)
    answered(db, "book_reservation", **BOOKING)
    bags = {"reservation_id": "HATHAT", "payment_id": "card_1", "total_baggages": 0, "nonfree_baggages": -1}
    call = json.dumps({"name": "update_reservation_baggages", "arguments": bags}).replace("-1", "9" * MAX_DIGITS)
    asked = parse_action(call)
    assert isinstance(asked, Call)
    assert "49999" in WORLD.call(db, asked)
    assert len(db.hash()) == 64


def test_cancelling_again_and_again_comes_to_an_end() -> None:
    db = Database(WORLD.snapshot)
    answered(db, "book_reservation", **BOOKING)
    answers = [answered(db, "cancel_reservation", reservation_id="HATHAT") for _ in range(16)]
    lengths = [len(json.loads(answer)["payment_history"]) for answer in answers if not answer.startswith("Error: ")]
    assert lengths == [2**cancelled for cancelled in range(1, 15)]
    assert answers[-1] == "Error: the payment history is too long"


@pytest.mark.parametrize(
    ("arrival", "departure", "date", "connects"),
    [
        ("09:00:00", "09:00:00", "2024-05-16", True),  # without a minute in between
        ("09:00:00", "08:59:59", "2024-05-16", False),
        ("09:00:00", "23:00:00", "2024-05-16", True),
        ("09:00:00", "09:00:00", "2024-05-17", False),
        ("00:30:00+1", "06:00:00", "2024-05-16", False),  # the next day has no seats
        ("00:30:00+1", "00:30:00+1", "2024-05-15", True),
        ("06:00:01+1", "06:00:00", "2024-05-15", False),  # compared as text, as in the original
    ],
)
def test_flights_connect_where_the_first_arrives_no_later_than_the_second_departs(
    arrival: str, departure: str, date: str, connects: bool
) -> None:
    dates = {"2024-05-15": DAY} | DATES
    first = FLIGHT | {"destination": "ORD", "scheduled_arrival_time_est": arrival, "dates": dates}
    second = FLIGHT | {
        "flight_number": "F2",
        "origin": "ORD",
        "scheduled_departure_time_est": departure,
        "scheduled_arrival_time_est": "23:59:00",
        "dates": dates,
    }
    world = World("airline", "v1", Snapshot(TABLES | {"flights": {"F1": first, "F2": second}}), (), "", {})
    call = Call("search_onestop_flight", {"origin": "SFO", "destination": "JFK", "date": date})
    pairs = json.loads(world.call(Database(world.snapshot), call))
    assert [[leg["flight_number"] for leg in pair] for pair in pairs] == [["F1", "F2"]] * connects
    if connects:
        assert [leg["date"] for leg in pairs[0]] == [date, "2024-05-16" if "+1" in arrival else date]
