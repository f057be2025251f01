"""Retail tools that look something up.

Checks and their order, texts, rounding and the order of keys are the original's in all tools of the domain, since all
of them show in answers or are hashed.
"""

from __future__ import annotations

import json
from typing import Final

from hero.envs.taubench.answers import ORDER_NOT_FOUND
from hero.envs.taubench.database import Database
from hero.envs.taubench.tools.toolbox import RefusedError, Toolbox, require_record

TOOLS: Final = Toolbox()


@TOOLS.reads
def find_user_id_by_email(db: Database, /, email: str) -> str:
    """Find the id of the user with an email address, ignoring case."""
    wanted = email.lower()
    for key, user in db.items("users"):
        if user["email"].lower() == wanted:
            return key
    raise RefusedError("user not found")


@TOOLS.reads
def find_user_id_by_name_zip(db: Database, /, first_name: str, last_name: str, zip: str) -> str:
    """Find the id of the first user with a name, ignoring case, and a zip code."""
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


@TOOLS.reads
def get_order_details(db: Database, /, order_id: str) -> str:
    """Get the record of an order."""
    return json.dumps(require_record(db, "orders", order_id, ORDER_NOT_FOUND))


@TOOLS.reads
def get_product_details(db: Database, /, product_id: str) -> str:
    """Get the record of a product, with all its variants."""
    return json.dumps(require_record(db, "products", product_id, "product not found"))


@TOOLS.reads
def list_all_product_types(db: Database, /) -> str:
    """List product ids by name, sorted by name."""
    names = {product["name"]: product["product_id"] for _, product in db.items("products")}
    return json.dumps(dict(sorted(names.items())))
