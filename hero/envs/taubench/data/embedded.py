"""The embedded world: a small shop with invented customers, in the schema of the original, deterministic from a seed.

No customer is in two splits. Ids are short and records small, so that an episode fits a short context.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from hero.envs.taubench.action import Call
from hero.envs.taubench.database import Record, Snapshot
from hero.envs.taubench.task import Task
from hero.envs.taubench.tools.schemas import schemas
from hero.envs.taubench.world import Split, World

POLICY: Final = """\
You work at the service desk of a shop and act through tools.
1. Find out who the customer is first: by email, or by name and zip code. Help that customer alone.
2. Before you change anything, say what you are about to do and wait for a yes.
3. A pending order can be cancelled (no longer needed, or ordered by mistake), and its address, payment method or items
changed; items of an order once only, all of them at a time.
4. Items of a delivered order can be exchanged for other variants of the same product, or returned; a return is refunded
to the payment method of the order or to a gift card.
5. Orders with any other status stay as they are: say so.
6. Take facts from tools and from the customer alone. One tool call, or one message to the customer, at a time.
7. What no tool can do goes to transfer_to_human_agents."""

CUSTOMERS: Final[Mapping[Split, int]] = {"train": 200, "dev": 100, "test": 100}
TASKS_EACH: Final = 2
FIRST_NAMES: Final = (
    "Ada Bela Cleo Dario Edda Fabio Greta Henk Ines Jona Kaya Levi Mona Nils Olga Piet Runa Sven Thea Ugo Vera Wim "
    "Xenia Yann Zora"
).split()
LAST_NAMES: Final = (
    "Abel Brandt Corti Dahl Eriks Farkas Gruber Holm Ivers Janko Krall Lund Moser Nagy Orban Pohl Quist Rossi Sauer "
    "Toth Ulrik Vogt Weiss Zeller"
).split()
PLACES: Final = (
    "Ashford OH,Birchwood OR,Cedarville TX,Dunmore PA,Elkridge MD,Fairhaven MA,Glenrock WY,Hillsboro KS,Ironton MN,"
    "Juniper GA"
).split(",")
STREETS: Final = "Alder Beech Cherry Dogwood Elder Fir Hazel Juniper Larch Maple".split()
PRODUCTS: Final[Mapping[str, str]] = {
    "Kettle": "color: red blue steel, size: small large",
    "Lamp": "color: white black, light: warm cold",
    "Backpack": "color: green grey navy, size: small large",
    "Headset": "link: wired wireless, color: black white",
    "Blanket": "fabric: wool cotton, size: single double",
    "Notebook": "paper: lined plain dotted, size: pocket large",
    "Umbrella": "color: yellow black, handle: straight curved",
    "Bottle": "material: glass steel, size: small large",
    "Clock": "face: round square, style: digital analog",
    "Scarf": "fabric: silk wool, color: red grey",
    "Puzzle": "pieces: 500 1000 2000, theme: animals cities",
    "Toaster": "slots: two four, color: white steel",
}
STATUSES: Final = (
    ("pending", "delivered"),
    ("pending", "processed"),
    ("delivered", "pending"),
    ("processed", "delivered"),
)


def generate(seed: int = 0) -> World:
    """The retail world of a seed: equal seeds give equal worlds, on any machine."""
    rng = random.Random(f"taubench-{seed}")
    codes = iter(rng.sample(range(10_000, 100_000), 20_000))
    products = {product["product_id"]: product for product in _products(rng, codes)}
    users: dict[str, Record] = {}
    orders: dict[str, Record] = {}
    tasks: dict[Split, tuple[Task, ...]] = {}
    for split, count in CUSTOMERS.items():
        made = []
        for _ in range(count):
            customer = _customer(rng, codes, products)
            users[customer.id] = customer.user
            orders |= {order["order_id"]: order for order in customer.orders}
            made += _wishes(rng, customer)
        rng.shuffle(made)
        tasks[split] = tuple(
            Task(f"{split}-{number}", f"{wish.customer.says} {wish.text}", wish.calls, wish.outputs, wish.customer.id)
            for number, wish in enumerate(made)
        )
    snapshot = Snapshot({"orders": orders, "products": products, "users": users})
    played = [
        (task.instruction, task.outputs, [(call.name, call.arguments) for call in task.actions])
        for split in tasks.values()
        for task in split
    ]
    known = sha256(json.dumps([snapshot.hash, POLICY, played]).encode()).hexdigest()
    return World("retail", "embedded", snapshot, schemas("retail"), POLICY, tasks, known)


def _products(rng: random.Random, codes: Iterator[int]) -> Iterator[Record]:
    for name, described in PRODUCTS.items():
        groups = [group.split(": ") for group in described.split(", ")]
        (first, firsts), (second, seconds) = ((name, values.split()) for name, values in groups)
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


@dataclass(frozen=True)
class _Customer:
    """A user, the orders, and what the user says of him- or herself."""

    id: str
    user: Record
    orders: Sequence[Record]
    says: str
    find: Call
    products: Mapping[str, Record]


@dataclass(frozen=True)
class _Wish:
    """What a customer wants, and the calls that do it."""

    customer: _Customer
    text: str
    calls: tuple[Call, ...]
    outputs: tuple[str, ...] = ()


def _customer(rng: random.Random, codes: Iterator[int], products: Mapping[str, Record]) -> _Customer:
    code, first, last = next(codes), rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    user_id, email = f"{first}_{last}_{code}".lower(), f"{first}.{last}{code}@example.com".lower()
    address = _address(rng)
    methods: dict[str, Record] = {}
    for source in rng.sample(["credit_card", "paypal", "gift_card"], 2):
        method = f"{source}_{next(codes)}"
        extra = {"balance": rng.randint(1000, 20000) / 100} if source == "gift_card" else {}
        methods[method] = {"source": source, "id": method} | extra
    orders = [_order(rng, codes, user_id, address, status, methods, products) for status in rng.choice(STATUSES)]
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
    return _Customer(user_id, user, orders, f"You are {first} {last}. {says}", find, products)


def _address(rng: random.Random) -> Record:
    city, state = rng.choice(PLACES).split()
    return {
        "address1": f"{rng.randint(1, 99)} {rng.choice(STREETS)} Street",
        "address2": f"Apt {rng.randint(1, 40)}",
        "city": city,
        "country": "USA",
        "state": state,
        "zip": str(rng.randint(10_000, 99_999)),
    }


def _order(
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


Draft = tuple[str, tuple[Call, ...], tuple[str, ...]]
"""Words, calls after the customer is found, and outputs."""
Kind = Callable[[random.Random, _Customer, Record], Draft | None]
"""Makes a wish about an order; None where it does not fit."""


def _wishes(rng: random.Random, customer: _Customer) -> list[_Wish]:
    """Wishes of different kinds."""
    pool = [(kind, order) for order in customer.orders for kind in KINDS[order["status"]]]
    rng.shuffle(pool)
    drafts: dict[Kind, Draft] = {}
    for kind, order in pool:
        if len(drafts) < TASKS_EACH and kind not in drafts and (draft := kind(rng, customer, order)):
            drafts[kind] = draft
    return [_Wish(customer, text, (customer.find, *calls), outputs) for text, calls, outputs in drafts.values()]


def _look(order: Record) -> Call:
    return Call("get_order_details", {"order_id": order["order_id"]})


def _cancel(rng: random.Random, customer: _Customer, order: Record) -> Draft:
    reason = rng.choice(["no longer needed", "ordered by mistake"])
    because = "it is no longer needed" if reason == "no longer needed" else "you ordered it by mistake"
    call = Call("cancel_pending_order", {"order_id": order["order_id"], "reason": reason})
    return f"You want to cancel order {order['order_id']}. The reason is that {because}.", (_look(order), call), ()


def _move(rng: random.Random, customer: _Customer, order: Record) -> Draft:
    address = _address(rng)
    words = "{address1}, {address2}, {city}, {state}, {country}, zip {zip}".format(**address)
    call = Call("modify_pending_order_address", {"order_id": order["order_id"]} | address)
    return (
        f"You want order {order['order_id']} sent to another address. The new address is {words}.",
        (_look(order), call),
        (),
    )


def _pay(rng: random.Random, customer: _Customer, order: Record) -> Draft | None:
    paid = order["payment_history"][0]
    method = next(
        method for key, method in customer.user["payment_methods"].items() if key != paid["payment_method_id"]
    )
    if method.get("balance", paid["amount"]) < paid["amount"]:
        return None
    call = Call("modify_pending_order_payment", {"order_id": order["order_id"], "payment_method_id": method["id"]})
    words = f"You want to pay order {order['order_id']} in another way. Use your {_spoken(method)} for the payment."
    return words, (_look(order), call), ()


def _swap(tool: str, verb: str) -> Kind:
    def wish(rng: random.Random, customer: _Customer, order: Record) -> Draft | None:
        item = rng.choice(order["items"])
        product = customer.products[item["product_id"]]
        others = [
            variant
            for variant in product["variants"].values()
            if variant["available"] and variant["item_id"] != item["item_id"]
        ]
        method = customer.user["payment_methods"][order["payment_history"][0]["payment_method_id"]]
        if not others:
            return None
        new = rng.choice(others)
        if method.get("balance", 1000) < new["price"] - item["price"]:
            return None
        arguments = {
            "order_id": order["order_id"],
            "item_ids": [item["item_id"]],
            "new_item_ids": [new["item_id"]],
            "payment_method_id": method["id"],
        }
        options = " and ".join(f"{group} {value}" for group, value in new["options"].items())
        words = (
            f"You want to {verb} the {product['name'].lower()} of order {order['order_id']}. "
            f"The one that you want has {options}. Any difference in price goes to your {_spoken(method)}."
        )
        look = Call("get_product_details", {"product_id": product["product_id"]})
        return words, (_look(order), look, Call(tool, arguments)), ()

    return wish


def _return(rng: random.Random, customer: _Customer, order: Record) -> Draft:
    item = rng.choice(order["items"])
    method = customer.user["payment_methods"][order["payment_history"][0]["payment_method_id"]]
    arguments = {
        "order_id": order["order_id"],
        "item_ids": [item["item_id"]],
        "payment_method_id": method["id"],
    }
    words = (
        f"You want to return the {item['name'].lower()} of order {order['order_id']}. "
        f"The refund should go to your {_spoken(method)}."
    )
    return words, (_look(order), Call("return_delivered_order_items", arguments)), ()


def _ask(rng: random.Random, customer: _Customer, order: Record) -> Draft:
    words = f"You want to know what you paid for order {order['order_id']} in total. You want the exact amount."
    return words, (_look(order),), (str(order["payment_history"][0]["amount"]),)


def _too_late(rng: random.Random, customer: _Customer, order: Record) -> Draft:
    words = f"You want to cancel order {order['order_id']}. The reason is that it is no longer needed."
    return words, (_look(order),), ()


def _spoken(method: Record) -> str:
    return str(method["source"]).replace("_", " ")


_CHANGE: Final = _swap("modify_pending_order_items", "change")
_EXCHANGE: Final = _swap("exchange_delivered_order_items", "exchange")
KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "pending": (_cancel, _move, _pay, _CHANGE),
    "delivered": (_EXCHANGE, _return, _ask),
    "processed": (_ask, _too_late),
}
