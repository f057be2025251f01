"""Small data in each of the layouts that can be read, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ADDRESS = {"address1": "1 Elm", "address2": "", "city": "X", "country": "USA", "state": "OH", "zip": "12345"}
TABLES: dict[str, dict[str, Any]] = {
    "orders": {
        f"#W{digit}": {
            "order_id": f"#W{digit}",
            "user_id": "ann_lee_1",
            "address": ADDRESS,
            "items": [],
            "status": "pending",
            "payment_history": [],
        }
        for digit in (1, 2)
    },
    "products": {key: {"name": f"Thing {key}", "product_id": key, "variants": {}} for key in ("7", "8")},
    "users": {
        key: {
            "name": {"first_name": "Ann", "last_name": "Lee"},
            "address": ADDRESS,
            "email": f"{key}@example.com",
            "payment_methods": {},
            "orders": ["#W1", "#W2"],
        }
        for key in ("ann_lee_1", "ann_lee_2")
    },
}
FLIGHT = {
    "flight_number": "F1",
    "origin": "SFO",
    "destination": "JFK",
    "scheduled_departure_time_est": "06:00:00",
    "scheduled_arrival_time_est": "09:00:00",
    "dates": {},
}
CANCEL = {"order_id": "#W1", "reason": "no longer needed"}
TASKS_MODULE = """
from tau_bench.types import Action, Task

raise RuntimeError("this module must not run")

TASKS_TEST = [
    Task(
        annotator=0,
        user_id="ann_lee_1",
        instruction="You are Ann Lee. "
        "You want to cancel order #W1.",
        actions=[Action(name="cancel_pending_order", kwargs={"order_id": "#W1", "reason": "no longer needed"})],
        outputs=["12.5"],
    ),
]
"""
TOOL_MODULE = """
raise RuntimeError("this module must not run")

class CancelPendingOrder(Tool):
    @staticmethod
    def get_info():
        return {"type": "function", "function": {"name": "cancel_pending_order", "parameters": {"properties": {}}}}
"""


def write_checkout(root: Path) -> Path:
    """Writes a checkout of tau-bench v1; returns the directory of its retail domain."""
    domain = root / "tau_bench" / "envs" / "retail"
    (domain / "data").mkdir(parents=True)
    (domain / "tools").mkdir()
    for name, table in TABLES.items():
        (domain / "data" / f"{name}.json").write_text(json.dumps(table))
    (domain / "wiki.md").write_text("# Be kind")
    (domain / "tasks_test.py").write_text(TASKS_MODULE)
    (domain / "tools" / "cancel_pending_order.py").write_text(TOOL_MODULE)
    return domain


def write_tau2(root: Path) -> Path:
    """Writes the data directory of tau2-bench; returns the directory of its retail domain."""
    domain = root / "tau2" / "domains" / "retail"
    domain.mkdir(parents=True)
    (domain / "db.json").write_text(json.dumps(TABLES))
    (domain / "policy.md").write_text("# Be kind")
    task = {
        "id": "0",
        "user_scenario": {
            "instructions": {
                "task_instructions": "You are calm.",
                "domain": "retail",
                "reason_for_call": "You want to cancel order #W1.",
                "known_info": "You are Ann Lee.",
                "unknown_info": None,
            }
        },
        "evaluation_criteria": {
            "actions": [{"action_id": "0_0", "name": "cancel_pending_order", "arguments": CANCEL, "info": None}],
            "communicate_info": ["12.5"],
        },
    }
    (domain / "tasks.json").write_text(json.dumps([task]))
    (domain / "split_tasks.json").write_text(json.dumps({"train": ["0"], "test": [], "base": ["0"]}))
    return domain
