"""The embedded world: a small shop with invented customers, in the schema of the original, deterministic from a seed.

No customer is in two splits. Ids are short and records small, so that an episode fits a short context.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from hero.envs.taubench.data.embedded.errands import Errand, draw_errands
from hero.envs.taubench.data.embedded.records import Customer, draw_customer, draw_products
from hero.envs.taubench.data.embedded.tables import POLICY
from hero.envs.taubench.database import Record, Snapshot
from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.tools.schemas import schemas
from hero.envs.taubench.world import Split, World

CUSTOMERS: Final[Mapping[Split, int]] = {"train": 200, "dev": 100, "test": 100}
TASKS_EACH: Final = 2


def generate(seed: int = 0) -> World:
    """Returns the retail world of a seed: equal seeds give equal worlds, on any machine."""
    rng = random.Random(f"taubench-{seed}")
    codes = iter(rng.sample(range(10_000, 100_000), 20_000))
    products = {product["product_id"]: product for product in draw_products(rng, codes)}
    users: dict[str, Record] = {}
    orders: dict[str, Record] = {}
    tasks: dict[Split, tuple[ServiceTask, ...]] = {}
    for split, count in CUSTOMERS.items():
        errands: list[tuple[Customer, Errand]] = []
        for _ in range(count):
            customer = draw_customer(rng, codes, products)
            users[customer.id] = customer.user
            orders |= {order["order_id"]: order for order in customer.orders}
            errands += [(customer, errand) for errand in draw_errands(rng, customer, TASKS_EACH)]
        rng.shuffle(errands)
        tasks[split] = tuple(_task(f"{split}-{index}", *drawn) for index, drawn in enumerate(errands))
    snapshot = Snapshot({"orders": orders, "products": products, "users": users})
    return World(
        domain="retail",
        version="embedded",
        snapshot=snapshot,
        schemas=schemas("retail"),
        policy=POLICY,
        tasks=tasks,
        fingerprint=_fingerprint(snapshot, tasks),
    )


def _task(name: str, customer: Customer, errand: Errand) -> ServiceTask:
    words = f"{customer.says} {errand.words}"
    return ServiceTask(name, words, (customer.find, *errand.calls), errand.outputs, customer.id)


def _fingerprint(snapshot: Snapshot, tasks: Mapping[Split, tuple[ServiceTask, ...]]) -> str:
    """Returns a hash of the data on which episodes depend."""
    played = [
        (task.instruction, task.outputs, [(call.name, call.arguments) for call in task.actions])
        for split in tasks.values()
        for task in split
    ]
    return sha256(json.dumps([snapshot.hash, POLICY, played]).encode()).hexdigest()
