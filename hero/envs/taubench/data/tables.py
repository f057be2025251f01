"""Checks that the tables of a database from outside have the columns that the tools read, and makes a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hero.envs.taubench.database import Snapshot, Tables
from hero.envs.taubench.world import Domain
from hero.errors import DataError

COLUMNS: Final[Mapping[Domain, Mapping[str, Mapping[str, type]]]] = {
    "retail": {
        "orders": {
            "order_id": str,
            "user_id": str,
            "address": dict,
            "items": list,
            "status": str,
            "payment_history": list,
        },
        "products": {"name": str, "product_id": str, "variants": dict},
        "users": {"name": dict, "address": dict, "email": str, "payment_methods": dict, "orders": list},
    },
    "airline": {
        "flights": {
            "flight_number": str,
            "origin": str,
            "destination": str,
            "scheduled_departure_time_est": str,
            "scheduled_arrival_time_est": str,
            "dates": dict,
        },
        "reservations": {
            "reservation_id": str,
            "user_id": str,
            "cabin": str,
            "flights": list,
            "passengers": list,
            "payment_history": list,
            "nonfree_baggages": int,
        },
        "users": {"name": dict, "payment_methods": dict, "reservations": list},
    },
}
"""Keys that the tools read and types of their values, by domain and table."""


def read_snapshot(domain: Domain, tables: Tables, files: Mapping[str, str]) -> Snapshot:
    """Returns a snapshot of tables that were read from files.

    Args:
        files: the file of each table, for messages.

    Raises:
        DataError: a table has fewer than two records, or a record lacks a key, has a value of another type, or one
            whose lists and dicts are nested too deeply.
    """
    for name, columns in COLUMNS[domain].items():
        table: Any = tables[name]
        if not isinstance(table, dict) or len(table) < 2:
            raise DataError(f"{files[name]}: {name} must be a dict of at least two records")
        for key, record in table.items():
            _require_columns(record, columns, name, f"{key!r}", files[name])
    try:
        return Snapshot(tables)
    except RecursionError as error:
        names = ", ".join(dict.fromkeys(files.values()))
        raise DataError(f"{names}: lists or dicts are nested too deeply") from error


def _require_columns(record: Any, columns: Mapping[str, type], table: str, key: str, file: str) -> None:
    if not isinstance(record, dict):
        raise DataError(f"{file}: {table} {key} must be a dict, not a {type(record).__name__}")
    for column, kind in columns.items():
        if column not in record:
            raise DataError(f"{file}: {table} {key} has no {column}")
        if not isinstance(record[column], kind):
            raise DataError(f"{file}: {column} of {table} {key} must not be a {type(record[column]).__name__}")
