"""Short rows for the policy of the embedded TauBench: copying, and reading facts and whole calls off records."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.tiny.service_case import TOOLS, Case
from hero.chat.base import Chat
from hero.envs.taubench.action import Call, parse_call
from hero.envs.taubench.data.embedded.records import Customer, draw_address, draw_customer, draw_products
from hero.envs.taubench.data.embedded.tables import FIRST_NAMES, LAST_NAMES
from hero.envs.taubench.database import Record
from hero.reflect.model import review_prompt
from hero.types import Diagnosis, Message, Trajectory
from hero.warm.rows import Row, answered, as_lines, reply_ids, review_row


def number_rows(chat: Chat, rng: random.Random, count: int) -> Iterator[Row]:
    """Yields numbers of five digits, and then all of them twice again, where the first token of each gives the second.

    Copying takes an induction head (Olsson et al. 2022), which has to be there before episodes can be learned.
    """
    for _ in range(count):
        yield _repeated(rng, [_ids(chat, str(rng.randrange(10_000, 100_000))) for _ in range(rng.randint(2, 12))])


def word_rows(chat: Chat, tokens: Sequence[int], rng: random.Random, count: int) -> Iterator[Row]:
    """Yields user ids, streets with their numbers, or arbitrary tokens, and then all of them twice again.

    A head that has learned on numbers alone copies numbers alone.

    Args:
        tokens: ids to draw the arbitrary tokens from.
    """
    for _ in range(count):
        kind, pieces = rng.randrange(3), []
        for _ in range(rng.randint(2, 8)):
            if kind == 0:
                name = f"{rng.choice(FIRST_NAMES)}_{rng.choice(LAST_NAMES)}".lower()
                pieces.append(_ids(chat, f"{name}_{rng.randrange(10_000, 100_000)}"))
            elif kind == 1:
                pieces.append(_ids(chat, draw_address(rng)["address1"]))
            else:
                pieces.append(rng.choices(tokens, k=rng.randint(2, 6)))
        yield _repeated(rng, pieces)


def record_rows(chat: Chat, trajectory: Trajectory, rng: random.Random) -> Iterator[Row]:
    """Yields facts that an expert reads off single records: the ids of an item, of a variant, of a payment method."""
    last = Case(trajectory.turns[-1].prompt)
    opening = last.opening
    if "get_order_details" not in last.looked_up:
        return
    order = last.looked_up["get_order_details"]
    if last.wish in ("change", "exchange", "return"):
        item = last.item
        yield _read(chat, opening, order, f"{item['product_id']} {item['item_id']}")
    if last.wish == "ask":
        yield _read(chat, opening, order, str(last.order["payment_history"][0]["amount"]))
    if "get_product_details" in last.looked_up:
        product = last.looked_up["get_product_details"]
        variants = json.loads(product)["variants"]
        for variant in rng.sample(list(variants.values()), 2):
            wanted = " and ".join(f"{group} {value}" for group, value in variant["options"].items())
            yield _read(chat, product, f"The one that I want has {wanted}.", variant["item_id"])
    if "get_user_details" in last.looked_up:
        user = last.looked_up["get_user_details"]
        for key, method in json.loads(user)["payment_methods"].items():
            yield _read(chat, user, f"Use my {method['source'].replace('_', ' ')}.", key)


def call_rows(chat: Chat, trajectory: Trajectory) -> Iterator[Row]:
    """Yields an expert's calls about an order that was found, each after the words and records before it."""
    for shown, call in calls_to_copy(trajectory):
        yield answered(chat, [Message("user", shown)], call)


def calls_to_copy(trajectory: Trajectory) -> Iterator[tuple[str, str]]:
    """Yields the words and records before a call about an order, and the call."""
    for turn in trajectory.turns:
        case, action = Case(turn.prompt), turn.action.text
        if "get_order_details" in case.looked_up and parse_call(action) and TOOLS.get(case.wish) not in case.looked_up:
            yield "\n".join([case.opening, *(answer for _, answer in case.moves)]), action


def lookup_rows(chat: Chat, rng: random.Random) -> Iterator[Row]:
    """Yields records of a shop drawn anew, each followed by the names of its entries with the ids that belong to them.

    Choosing one of several entries takes more than copying: the wanted name has to be found, and then what belongs to
    it. A row asks for all entries, since a single answer among hundreds of tokens is a weak signal.
    """
    for record, entries in _records(rng):
        ids = chat.encode([Message("user", json.dumps(record))])
        weights = [0.0] * len(ids)
        for name in rng.sample(list(entries), len(entries)):
            for text, weight in ((f" the {name}:", 0.0), *((found, 1.0) for found in entries[name])):
                piece = _ids(chat, text)
                ids += piece
                weights += [weight] * len(piece)
        yield Row(ids, weights)


def choice_rows(chat: Chat, rng: random.Random) -> Iterator[Row]:
    """Yields conversations about an order, each with one wish after the other, and the calls that serve them."""
    codes = iter(rng.sample(range(10_000, 100_000), 2_000))
    products = {product["product_id"]: product for product in draw_products(rng, codes)}
    for _ in range(20):
        customer, order, items = _order(rng, codes, products)
        order_id, paid = order["order_id"], order["payment_history"][0]["payment_method_id"]
        wishes = []
        for item in items:
            name, back = item["name"].lower(), {"order_id": order_id, "item_ids": [item["item_id"]]}
            call = Call("return_delivered_order_items", back | {"payment_method_id": paid})
            wishes.append((f"I want to return the {name} of order {order_id}.", call))
            look = Call("get_product_details", {"product_id": item["product_id"]})
            wishes.append((f"I want to exchange the {name} of order {order_id}.", look))
        yield _conversation(chat, [order], wishes, rng)
        item = rng.choice(items)
        tool = rng.choice(["modify_pending_order_items", "exchange_delivered_order_items"])
        wishes = []
        for variant in products[item["product_id"]]["variants"].values():
            swap = {"item_ids": [item["item_id"]], "new_item_ids": [variant["item_id"]], "payment_method_id": paid}
            wanted = " and ".join(map(" ".join, variant["options"].items()))
            source = paid.rpartition("_")[0].replace("_", " ")
            words = f"The one that I want has {wanted}. Any difference in price goes to my {source}."
            if variant["item_id"] != item["item_id"]:
                wishes.append((words, Call(tool, {"order_id": order_id} | swap)))
        yield _conversation(chat, [order, products[item["product_id"]]], wishes, rng)
        methods = customer.user["payment_methods"].values()
        wishes = [
            (
                f"Use my {method['source'].replace('_', ' ')} for the payment.",
                Call("modify_pending_order_payment", {"order_id": order_id, "payment_method_id": method["id"]}),
            )
            for method in methods
        ]
        yield _conversation(chat, [order, customer.user], wishes, rng)


def verdict_row(chat: Chat, trajectory: Trajectory, review: Diagnosis) -> Row:
    """Returns a row of an episode and the review of it, of which all but the advice is learned.

    Advice is many tokens that are copied with ease; beside them the few that judge a turn hardly count.
    """
    row, messages, said = review_row(chat, trajectory, review), review_prompt(trajectory), ""
    start, weights = len(chat.encode(messages)), list(row.weights)
    for line in as_lines(review).splitlines():
        judgement, mark, advice = line.partition("; instead:")
        # Without the stop token of the reply.
        first = start + len(reply_ids(chat, messages, said + judgement + mark)) - 1
        end = start + len(reply_ids(chat, messages, said + line)) - 1
        if advice:
            weights[first:end] = [0.0] * (end - first)
        said += f"{line}\n"
    return Row(row.ids, weights)


def _conversation(chat: Chat, records: list[Record], wishes: list[tuple[str, Call]], rng: random.Random) -> Row:
    """Returns a row of records, then wishes in random order, each with its call, of which the calls are learned."""
    messages = [Message("user", "\n".join(map(json.dumps, records)))]
    spans = []
    for words, call in rng.sample(wishes, len(wishes)):
        messages += [Message("user", words), Message("assistant", call.text())]
        # Without the header of the reply that would follow.
        spans.append((len(chat.encode(messages[:-1])), len(chat.encode(messages)) - 1))
    ids = chat.encode(messages)[:-1]
    learned = {position for start, end in spans for position in range(start, end)}
    return Row(ids, [float(position in learned) for position in range(len(ids))])


def _records(rng: random.Random) -> Iterator[tuple[Record, dict[str, list[str]]]]:
    """Yields products, users, and orders of one to four items, each with the ids of its entries by name."""
    codes = iter(rng.sample(range(10_000, 100_000), 2_000))
    products = {product["product_id"]: product for product in draw_products(rng, codes)}
    for product in products.values():
        variants = product["variants"].values()
        yield product, {" and ".join(map(" ".join, each["options"].items())): [each["item_id"]] for each in variants}
    for _ in range(24):
        customer, order, items = _order(rng, codes, products)
        methods = customer.user["payment_methods"].values()
        yield customer.user, {each["source"].replace("_", " "): [each["id"]] for each in methods}
        yield order, {item["name"].lower(): [item["product_id"], item["item_id"]] for item in items}


def _order(
    rng: random.Random, codes: Iterator[int], products: Mapping[str, Record]
) -> tuple[Customer, Record, list[Record]]:
    """Draws a customer, an order of theirs to which items of other orders are added, and all its items."""
    customer, other = (draw_customer(rng, codes, products) for _ in range(2))
    by_name = {item["name"]: item for order in (customer.orders[0], *other.orders) for item in order["items"]}
    items = list(by_name.values())
    return customer, customer.orders[0] | {"items": items}, items


def _repeated(rng: random.Random, pieces: list[list[int]]) -> Row:
    """Returns a row of pieces, and of all of them twice again in random order, learned but for their first tokens."""
    again = pieces * 2
    rng.shuffle(again)
    weights = [0.0] * sum(map(len, pieces)) + [weight for piece in again for weight in (0.0, *[1.0] * len(piece[1:]))]
    return Row([token for piece in (*pieces, *again) for token in piece], weights)


def _ids(chat: Chat, text: str) -> list[int]:
    """Returns the ids of a text without those of the chat around it."""
    return chat.encode([Message("user", text)])[1:-2]


def _read(chat: Chat, first: str, second: str, answer: str) -> Row:
    return answered(chat, [Message("user", f"{first}\n{second}")], answer)
