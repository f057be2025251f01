"""Draws the records of the embedded world: products, and customers with their orders, in the original's schema."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hero.envs.taubench.action import Call
from hero.envs.taubench.data.embedded.tables import FIRST_NAMES, LAST_NAMES, PLACES, PRODUCTS, STATUSES, STREETS
from hero.envs.taubench.database import Record


@dataclass(frozen=True)
class Customer:
    """A user with orders.

    Attributes:
        says: words of the task that introduce the user.
        find: the call that finds the user by these words.
        products: all products of the shop, by id.
    """

    id: str
    user: Record
    orders: Sequence[Record]
    says: str
    find: Call
    products: Mapping[str, Record]


def draw_products(rng: random.Random, codes: Iterator[int]) -> Iterator[Record]:
    """Draws all products, each with a variant for every combination of its options."""
    for name, options in PRODUCTS.items():
        groups = [group.split(": ") for group in options.split(", ")]
        (first, firsts), (second, seconds) = ((group, values.split()) for group, values in groups)
        base = rng.randint(800, 9000) / 100
        variants = {}
        for left in firsts:
            for right in seconds:
                item = str(next(codes))
                variants[item] = {
                    "item_id": item,
                    "options": {first: left, second: right},
                    "available": rng.random() < 0.8,
                    "price": round(base * rng.uniform(0.85, 1.2), 2),
                }
        yield {"name": name, "product_id": str(next(codes)), "variants": variants}


def draw_customer(rng: random.Random, codes: Iterator[int], products: Mapping[str, Record]) -> Customer:
    """Draws a customer with two payment methods and two orders."""
    code, first, last = next(codes), rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    user_id, email = f"{first}_{last}_{code}".lower(), f"{first}.{last}{code}@example.com".lower()
    address = draw_address(rng)
    methods: dict[str, Record] = {}
    for source in rng.sample(["credit_card", "paypal", "gift_card"], 2):
        method_id = f"{source}_{next(codes)}"
        extra = {"balance": rng.randint(1000, 20000) / 100} if source == "gift_card" else {}
        methods[method_id] = {"source": source, "id": method_id} | extra
    orders = [_draw_order(rng, codes, user_id, address, status, methods, products) for status in rng.choice(STATUSES)]
    user = {
        "name": {"first_name": first, "last_name": last},
        "address": address,
        "email": email,
        "payment_methods": methods,
        "orders": [order["order_id"] for order in orders],
    }
    if rng.random() < 0.5:
        says, find = f"Your email is {email}.", Call("find_user_id_by_email", {"email": email})
    else:
        says = f"Your zip code is {address['zip']}. You do not remember your email."
        find = Call("find_user_id_by_name_zip", {"first_name": first, "last_name": last, "zip": address["zip"]})
    return Customer(user_id, user, orders, f"You are {first} {last}. {says}", find, products)


def draw_address(rng: random.Random) -> Record:
    """Draws an address."""
    city, state = rng.choice(PLACES).split()
    return {
        "address1": f"{rng.randint(1, 99)} {rng.choice(STREETS)} Street",
        "address2": f"Apt {rng.randint(1, 40)}",
        "city": city,
        "country": "USA",
        "state": state,
        "zip": str(rng.randint(10_000, 99_999)),
    }


def _draw_order(
    rng: random.Random,
    codes: Iterator[int],
    user_id: str,
    address: Record,
    status: str,
    methods: Mapping[str, Record],
    products: Mapping[str, Record],
) -> Record:
    items = []
    for product in rng.sample(list(products.values()), rng.randint(1, 2)):
        item, variant = rng.choice(list(product["variants"].items()))
        items.append(
            {
                "name": product["name"],
                "product_id": product["product_id"],
                "item_id": item,
                "price": variant["price"],
                "options": variant["options"],
            }
        )
    paid = {
        "transaction_type": "payment",
        "amount": round(sum(item["price"] for item in items), 2),
        "payment_method_id": rng.choice(list(methods)),
    }
    return {
        "order_id": f"#W{next(codes)}",
        "user_id": user_id,
        "address": address,
        "items": items,
        "fulfillments": [],
        "status": status,
        "payment_history": [paid],
    }
