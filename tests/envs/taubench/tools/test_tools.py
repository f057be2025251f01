"""The parts below the environment: arithmetic, the hash, and tools at the edges that no recording has."""

from __future__ import annotations

import json
import warnings
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero.envs.taubench.action import Call, parse_action
from hero.envs.taubench.data.embedded.world import generate
from hero.envs.taubench.data.reading import MAX_DEPTH
from hero.envs.taubench.database import Database, Snapshot, copied, text
from hero.envs.taubench.tools.calculate import calculate
from hero.envs.taubench.world import World
from tests.hostile import limited

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
records = st.dictionaries(st.text(max_size=5), values, max_size=3)
tables = st.dictionaries(st.text(max_size=6), records, min_size=2, max_size=6)


def hashable(value: Any) -> Any:
    """Returns the nested tuples whose text the original hashes."""
    if isinstance(value, dict):
        return tuple((key, hashable(inner)) for key, inner in sorted(value.items()))
    return tuple(map(hashable, value)) if isinstance(value, list) else value


@given(values)
def test_the_text_of_a_value_is_that_of_nested_tuples(value: Any) -> None:
    assert text(value) == str(hashable(value)) or isinstance(value, str | int | float | None)
    assert text([value]) == str(hashable([value]))


@given(tables, tables, st.data())
def test_the_hash_after_any_changes_is_that_of_the_whole(first: Any, second: Any, data: st.DataObject) -> None:
    snapshot = Snapshot({"a": first, "b": second})
    before = copied({"a": first, "b": second})
    db = Database(snapshot)
    for key, record in data.draw(tables).items():
        if db.get("a", key) is None:
            db.add("a", key, record)
        else:
            db.edit("a", key)["changed"] = record
    db.edit("b", data.draw(st.sampled_from(sorted(second))))
    now = {name: dict(db.items(name)) for name in ("a", "b")}
    assert db.hash() == sha256(str(hashable(now)).encode()).hexdigest()
    assert set(db.changes()) == {("a", key) for key in now["a"] if str(now["a"][key]) != str(first.get(key, ""))}
    assert {"a": first, "b": second} == before


def test_the_state_of_the_hash_is_taken_up_where_the_first_change_is() -> None:
    table = {f"{index:05}": {"text": "x" * 100} for index in range(5000)}
    snapshot = Snapshot({"only": table, "other": dict(table)})
    assert len(snapshot._states) > 3
    for key in ("00000", "02500", "04999"):
        db = Database(snapshot)
        db.edit("other", key)["text"] = "y"
        now = {name: dict(db.items(name)) for name in ("only", "other")}
        assert db.hash() == sha256(str(hashable(now)).encode()).hexdigest()


@given(st.text("0123456789+-*/(). ", max_size=12))
def test_arithmetic_is_that_of_python(expression: str) -> None:
    if expression.count("**") > 1 or (len(expression) > 9 and "**" in expression):
        return  # Python itself may take forever
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = str(round(float(eval(expression, {"__builtins__": None}, {})), 2))
        except Exception:
            expected = "Error: "
        value = calculate(expression)
    assert value == expected or (expected == "Error: " and value.startswith("Error: "))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 ** 3", "8.0"),
        ("7 // 2", "3.0"),
        ("-(1.005 + 2)", "-3.0"),
        ("1/0", "Error: division by zero"),
        ("2 + x", "Error: invalid characters in expression"),
        ("", "Error: invalid syntax (<string>, line 0)"),
        ("9**9**9**9", "Error: int too large to convert to float"),
        ("9**(9**9)//9**(9**9)", "Error: int too large to convert to float"),
        ("1**(9**9999)", "1.0"),
        ("9**9999//9**9998", "9.0"),
        ("2**-99999", "0.0"),
        (f"{'1 + ' * 1500}1", "1501.0"),
        ("2 + ()", "Error: unsupported operand type(s) for +: 'int' and 'tuple'"),
        ("2(1/0)", "Error: division by zero"),
        ("2(3)", "Error: 'int' object is not callable"),
        ("2.5(1)(3)", "Error: 'float' object is not callable"),
        ([], "Error: eval() arg 1 must be a string, bytes or code object"),
        (["1", "+", "01"], "Error: eval() arg 1 must be a string, bytes or code object"),
        (["10"], "Error: invalid characters in expression"),
    ],
)
def test_single_expressions(expression: Any, value: str) -> None:
    assert calculate(expression) == value


def many(term: str, sign: str, length: int = 80_000) -> str:
    """Returns an expression of that length, its terms in parentheses by the hundred: Python reads no longer sum."""
    group = f"({sign.join([term] * 100)})"
    return sign.join([group] * (length // len(group)))


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 5000,
        "1+" * 100_000 + "1",
        "-" * 20_000 + "1",
        "9" * 50_000,
        *(many(term, "+") for term in ("9**9999", "1//9**9999", "(9**8000*9**8000)", "(-1)**(9**9999)")),
        *(many(term, "-") for term in ("(9**16000//9**8000)", "9**16000/9**15999", "9**9999*1.0")),
        *(many(term, "*") for term in ("9**9", "(9**9999-9**9999+1)")),
    ],
)
def test_expressions_without_measure_are_errors_or_values_at_once(expression: str) -> None:
    with limited(expression):
        assert isinstance(calculate(expression), str)


def test_a_long_sum_of_prices_is_computed() -> None:
    assert calculate(many("1234.56", "+")) == str(round(eval(many("1234.56", "+")), 2))
    assert calculate(many("(9**99)", "+")) == str(round(float(eval(many("(9**99)", "+"))), 2))


def test_wrong_arguments_are_answered_with_an_error_and_change_nothing() -> None:
    world = generate()
    db = Database(world.snapshot)
    for arguments in ({}, {"order_id": []}, {"order_id": "x", "db": 1}, {"order_id": {}, "reason": ""}):
        for name in world.tools:
            if name not in ("list_all_product_types",) or arguments:
                answer = world.call(db, Call(name, arguments))
                assert answer.startswith("Error: "), (name, arguments)
    assert world.call(db, Call("open_sesame", {})) == "Unknown action open_sesame"
    assert not db.changes()


def test_arguments_as_deep_as_a_call_may_have_them_are_kept_and_hashed() -> None:
    world = generate()
    db = Database(world.snapshot)
    user = next(iter(world.snapshot.tables["users"]))
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    address = dict.fromkeys(("address1", "address2", "city", "state", "country"), "") | {
        "user_id": user,
        "zip": "deep",
    }
    written = json.dumps({"name": "modify_user_address", "arguments": address})
    call = parse_action(written.replace('"deep"', deep))
    assert isinstance(call, Call)
    assert deep in world.call(db, call)
    assert db.hash() != world.snapshot.hash


GIFT = {"source": "gift_card", "id": "gift_card_1", "balance": 0.3}
CARD = {"source": "credit_card", "id": "card_1"}


def shop(status: str, *, paid_by: str, amount: float = 0.1, new_price: float = 0.2) -> tuple[World, Database]:
    """Makes a shop with one order of a thing at 0.1, paid with a method, another thing, and a gift card with 0.3."""
    user = {
        "name": {},
        "address": {},
        "email": "",
        "orders": [],
        "payment_methods": {"gift_card_1": GIFT, "card_1": CARD},
    }
    item = {"product_id": "7", "item_id": "old", "price": 0.1, "options": {}}
    paid = {"transaction_type": "payment", "amount": amount, "payment_method_id": paid_by}
    order = {"order_id": "#W1", "user_id": "u", "status": status, "items": [item], "payment_history": [paid]}
    variants = {"new": {"item_id": "new", "available": True, "price": new_price, "options": {}}}
    tables: dict[str, Any] = {
        "orders": {"#W1": order, "#W2": order},
        "products": {"7": {"name": "Thing", "product_id": "7", "variants": variants}, "8": {}},
        "users": {"u": user, "v": user},
    }
    world = World("retail", "v1", Snapshot(tables), (), "", {})
    return world, Database(world.snapshot)


@pytest.mark.parametrize(
    ("name", "arguments", "shown", "balance"),
    [
        # 0.3 + 0.1 is 0.4, but 0.3 - 0.1 and 0.1 + 0.2 are no tenths before they are rounded.
        ("cancel_pending_order", {"reason": "no longer needed"}, {"paid_by": "gift_card_1", "amount": 0.6}, 0.9),
        ("modify_pending_order_payment", {"payment_method_id": "gift_card_1"}, {"paid_by": "card_1"}, 0.2),
        (
            "modify_pending_order_payment",
            {"payment_method_id": "card_1"},
            {"paid_by": "gift_card_1", "amount": 0.6},
            0.9,
        ),
        (
            "modify_pending_order_items",
            {"item_ids": ["old"], "new_item_ids": ["new"], "payment_method_id": "gift_card_1"},
            {"paid_by": "card_1"},
            0.2,
        ),
    ],
)
def test_the_balance_of_a_gift_card_is_rounded_to_cents(
    name: str, arguments: dict[str, Any], shown: dict[str, Any], balance: float
) -> None:
    world, db = shop("pending", **shown)
    answer = world.call(db, Call(name, {"order_id": "#W1"} | arguments))
    assert not answer.startswith("Error:")
    user = db.get("users", "u")
    assert user is not None
    assert user["payment_methods"]["gift_card_1"]["balance"] == balance


@pytest.mark.parametrize("new_price", [0.3, 0.8])
def test_the_difference_of_prices_is_rounded_for_an_exchange_and_not_for_a_change(new_price: float) -> None:
    arguments = {"order_id": "#W1", "item_ids": ["old"], "new_item_ids": ["new"], "payment_method_id": "card_1"}
    world, db = shop("pending", paid_by="card_1", new_price=new_price)
    order = json.loads(world.call(db, Call("modify_pending_order_items", arguments)))
    assert order["payment_history"][-1]["amount"] == new_price - 0.1 != round(new_price - 0.1, 2)
    world, db = shop("delivered", paid_by="card_1", new_price=new_price)
    order = json.loads(world.call(db, Call("exchange_delivered_order_items", arguments)))
    assert order["exchange_price_difference"] == round(new_price - 0.1, 2)
